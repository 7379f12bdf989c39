"""The Videos API over the emulator's jobs: HTTP in, HTTP out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from airflow_provider_sora.emulator import media
from airflow_provider_sora.emulator.clock import Clock
from airflow_provider_sora.emulator.faults import Fault, Faults
from airflow_provider_sora.emulator.faults import Route as RouteName
from airflow_provider_sora.emulator.jobs import Job, Jobs

Handler = Callable[[Request, Fault | None], Awaitable[Response]]

_MEDIA_TYPES = {"video": "video/mp4", "thumbnail": "image/webp", "spritesheet": "image/jpeg"}


class ApiError(Exception):
    """An answer of the API that is an error."""

    def __init__(self, status: int, message: str, code: str, param: str | None = None) -> None:
        self.status = status
        self.body = {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


@dataclass
class RequestLog:
    """What was asked for: route, path, query and status; no header and no body, so no secret."""

    entries: list[dict[str, Any]] = field(default_factory=list)

    def add(self, route: str, request: Request, status: int) -> None:
        self.entries.append(
            {"route": route, "path": request.url.path, "query": dict(request.query_params), "status": status}
        )


class VideosApi:
    """The routes. `api_key` None: no key is asked for."""

    def __init__(self, jobs: Jobs, faults: Faults, clock: Clock, api_key: str | None) -> None:
        self.jobs = jobs
        self.faults = faults
        self.clock = clock
        self.api_key = api_key
        self.log = RequestLog()

    def app(self) -> ASGIApp:
        """The ASGI application: the API under ``/v1``, the emulator's own controls under ``/_emulator``."""
        routes = [
            self._route("/videos", "create", self.create, "POST"),
            self._route("/videos", "list", self.list, "GET"),
            self._route("/videos/{id:path}/content", "content", self.content, "GET"),
            self._route("/videos/{id:path}", "retrieve", self.retrieve, "GET"),
            self._route("/videos/{id:path}", "delete", self.delete, "DELETE"),
        ]
        controls = [
            Route("/state", self._guarded(self.control_state), methods=["GET"]),
            Route("/faults", self._guarded(self.control_faults), methods=["POST", "DELETE"]),
            Route("/clock", self._guarded(self.control_clock), methods=["POST"]),
        ]
        return Starlette(routes=[Mount("/v1", routes=routes), Mount("/_emulator", routes=controls)])

    async def create(self, request: Request, fault: Fault | None) -> Response:
        fields = await _fields(request)
        if not str(fields.get("prompt") or ""):
            raise ApiError(400, "Missing required parameter: 'prompt'.", "missing_required_parameter", "prompt")
        _check(fields)
        failing = (fault.code, fault.message) if fault and fault.effect == "fail_job" else None
        job = self.jobs.create(fields, failing, expired=bool(fault and fault.effect == "expire"))
        return JSONResponse(job.to_json(self.jobs.now()))

    async def list(self, request: Request, _: Fault | None) -> Response:
        limit = int(request.query_params.get("limit", 20))
        jobs, more = self.jobs.page(limit, request.query_params.get("order", "desc"), request.query_params.get("after"))
        now = self.jobs.now()
        return JSONResponse(
            {
                "object": "list",
                "data": [job.to_json(now) for job in jobs],
                "first_id": jobs[0].id if jobs else None,
                "last_id": jobs[-1].id if jobs else None,
                "has_more": more,
            }
        )

    async def retrieve(self, request: Request, _: Fault | None) -> Response:
        return JSONResponse(self._job(request).to_json(self.jobs.now()))

    async def delete(self, request: Request, _: Fault | None) -> Response:
        job = self._job(request)
        if job.status(self.jobs.now()) in ("queued", "in_progress"):
            raise ApiError(409, "Video is still being generated and cannot be deleted.", "video_in_progress")
        self.jobs.delete(job.id)
        return JSONResponse({"id": job.id, "object": "video.deleted", "deleted": True})

    async def content(self, request: Request, fault: Fault | None) -> Response:
        job = self._job(request)
        variant = request.query_params.get("variant", "video")
        if variant not in _MEDIA_TYPES:
            raise ApiError(400, f"Invalid value: '{variant}'.", "invalid_value", "variant")
        self._check_ready(job)
        if fault and fault.effect == "wrong_type":
            return JSONResponse({"status": "pending"})
        body = await run_in_threadpool(_render, job, variant)
        return Response(body, media_type=_MEDIA_TYPES[variant])

    def _job(self, request: Request) -> Job:
        job = self.jobs.get(request.path_params["id"])
        if job is None:
            raise ApiError(404, f"Video with id '{request.path_params['id']}' not found.", "not_found")
        return job

    def _check_ready(self, job: Job) -> None:
        now = self.jobs.now()
        status = job.status(now)
        if status == "failed":
            raise ApiError(404, "Video generation failed; there is no content.", "video_failed")
        if status != "completed":
            raise ApiError(404, "Generation is still in-progress.", "video_not_ready")
        if now >= job.expires_at:
            raise ApiError(404, "The content of this video has expired.", "video_expired")

    async def control_state(self, _: Request) -> Response:
        now = self.jobs.now()
        return JSONResponse(
            {
                "creates": self.jobs.creates,
                "now": now,
                "jobs": [job.to_json(now) for job in self.jobs.all()],
                "requests": self.log.entries,
                "faults": self.faults.to_json(),
            }
        )

    async def control_faults(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.faults.clear()
        else:
            self.faults.add(Fault(**await request.json()))
        return JSONResponse(self.faults.to_json())

    async def control_clock(self, request: Request) -> Response:
        self.clock.advance(float((await request.json())["advance"]))
        return JSONResponse({"now": self.jobs.now()})

    def _route(self, path: str, name: RouteName, handler: Handler, method: str) -> Route:
        async def endpoint(request: Request) -> Response:
            fault = self.faults.take(name)
            response = await self._answer(request, handler, fault)
            self.log.add(name, request, response.status_code)
            return response

        return Route(path, self._guarded(endpoint), methods=[method])

    async def _answer(self, request: Request, handler: Handler, fault: Fault | None) -> Response:
        replaced = fault is not None and fault.effect in ("status", "drop")
        try:
            response = await handler(request, fault) if fault is None or not replaced or fault.accept else Response()
        except ApiError as error:
            return JSONResponse(error.body, error.status)
        return response if fault is None else await _spoiled(response, fault)

    def _guarded(self, endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            if self.api_key is not None and self.api_key not in _keys(request):
                error = ApiError(401, "Incorrect API key provided.", "invalid_api_key")
                return JSONResponse(error.body, error.status)
            return await endpoint(request)

        return guarded


def _keys(request: Request) -> tuple[str, str]:
    return request.headers.get("authorization", "").removeprefix("Bearer "), request.headers.get("api-key", "")


async def _spoiled(response: Response, fault: Fault) -> Response:
    match fault.effect:
        case "status":
            headers = {} if fault.retry_after is None else {"Retry-After": f"{fault.retry_after:g}"}
            body = {"error": {"message": fault.message, "type": "server_error", "param": None, "code": fault.code}}
            return JSONResponse(body, fault.status, headers)
        case "drop":
            return _BrokenOff(b"", 0)
        case "truncate":
            return _BrokenOff(bytes(response.body), fault.fraction)
        case "slow":
            await asyncio.sleep(fault.seconds)
    return response


class _BrokenOff(Response):
    """Sends a part of its body, or nothing at all, and closes the connection."""

    def __init__(self, body: bytes, fraction: float) -> None:
        super().__init__(body, media_type="video/mp4")
        self._part = body[: int(len(body) * fraction)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._part:
            head = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            await send(head)
            await send({"type": "http.response.body", "body": self._part, "more_body": True})
        scope["sora.connection"].close()
        while (await receive())["type"] != "http.disconnect":
            pass


class ConnectionInScope:
    """Puts the server's connection into the scope: ASGI itself has no way to break one off."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        cycle = getattr(send, "__self__", None)  # uvicorn's, whose bound method `send` is
        if cycle is not None:
            scope["sora.connection"] = cycle.transport
        await self.app(scope, receive, send)


async def _fields(request: Request) -> dict[str, Any]:
    """The body's fields; of a file only its type and length are kept."""
    if request.headers.get("content-type", "").startswith("application/json"):
        body = await request.json()
        if not isinstance(body, dict):
            raise ApiError(400, "The body has to be a JSON object.", "invalid_body")
        return body
    fields: dict[str, Any] = {}
    async with request.form() as form:
        for name, value in form.items():
            fields[name] = (
                (value.content_type or "", len(await value.read())) if isinstance(value, UploadFile) else value
            )
    return fields


def _check(fields: dict[str, Any]) -> None:
    try:
        media.frame_size(str(fields.get("size") or "720x1280"))
    except ValueError as error:
        raise ApiError(400, str(error), "invalid_value", "size") from None
    seconds = str(fields.get("seconds") or "4")
    if not seconds.isdigit() or not 1 <= int(seconds) <= 120:
        raise ApiError(400, f"Invalid value: '{seconds}'. Has to be 1 to 120 seconds.", "invalid_value", "seconds")


def _render(job: Job, variant: str) -> bytes:
    if variant == "thumbnail":
        return media.thumbnail(job.prompt, job.size)
    if variant == "spritesheet":
        return media.spritesheet(job.prompt, job.size)
    return media.mp4(job.prompt, job.seconds, job.size)
