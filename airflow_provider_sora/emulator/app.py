"""The Videos API over the emulator's jobs: HTTP in, HTTP out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from airflow_provider_sora.emulator import media, ranges
from airflow_provider_sora.emulator.clock import Clock
from airflow_provider_sora.emulator.dialects import ApiError, OpenAI
from airflow_provider_sora.emulator.faults import Fault, Faults
from airflow_provider_sora.emulator.faults import Route as RouteName
from airflow_provider_sora.emulator.jobs import Job, Jobs

Handler = Callable[[Request, Fault | None], Awaitable[Response]]

_MEDIA_TYPES = {"video": "video/mp4", "thumbnail": "image/webp", "spritesheet": "image/jpeg"}


@dataclass
class RequestLog:
    """What was asked for: route, path, query and status; no header and no body, so no secret."""

    entries: list[dict[str, Any]] = field(default_factory=list)

    def add(self, route: str, request: Request, status: int) -> None:
        self.entries.append(
            {"route": route, "path": request.url.path, "query": dict(request.query_params), "status": status}
        )


class VideosApi:
    """The routes, in a dialect. `api_key` None: no key is asked for."""

    def __init__(self, jobs: Jobs, faults: Faults, clock: Clock, api_key: str | None, dialect: OpenAI) -> None:
        self.jobs = jobs
        self.faults = faults
        self.clock = clock
        self.api_key = api_key
        self.dialect = dialect
        self.log = RequestLog()

    def app(self) -> ASGIApp:
        """The ASGI application: the API under its base path, the emulator's own controls under ``/_emulator``."""
        routes = [
            self._route("/videos", "create", self.create, "POST"),
            self._route("/videos/extensions", "extend", self.extend, "POST"),
            self._route("/videos/edits", "edit", self.edit, "POST"),
            self._route("/videos/characters", "create_character", self.create_character, "POST"),
            self._route("/videos/characters/{id}", "get_character", self.get_character, "GET"),
            self._route("/videos/{id:path}/remix", "remix", self.remix, "POST"),
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
        return Starlette(routes=[Mount(self.dialect.base_path, routes=routes), Mount("/_emulator", routes=controls)])

    async def create(self, request: Request, fault: Fault | None) -> Response:
        return await self._start_job(request, fault, "create")

    async def extend(self, request: Request, fault: Fault | None) -> Response:
        return await self._start_job(request, fault, "extend")

    async def edit(self, request: Request, fault: Fault | None) -> Response:
        return await self._start_job(request, fault, "edit")

    async def remix(self, request: Request, fault: Fault | None) -> Response:
        return await self._start_job(request, fault, "remix")

    async def create_character(self, request: Request, _: Fault | None) -> Response:
        fields = await _fields(request)
        if not 1 <= len(str(fields.get("name") or "")) <= 80:
            raise ApiError(400, "Invalid 'name': 1 to 80 characters.", "invalid_value", "name")
        if not isinstance(fields.get("video"), tuple):
            raise ApiError(400, "Missing required parameter: 'video'.", "missing_required_parameter", "video")
        return JSONResponse(self.jobs.create_character(str(fields["name"])).to_json())

    async def get_character(self, request: Request, _: Fault | None) -> Response:
        character = self.jobs.characters.get(request.path_params["id"])
        if character is None:
            raise ApiError(404, "Character not found.", "not_found")
        return JSONResponse(character.to_json())

    async def list(self, request: Request, _: Fault | None) -> Response:
        return self.dialect.listed(request, self.jobs)

    async def retrieve(self, request: Request, _: Fault | None) -> Response:
        return self.dialect.retrieved(self._job(request.path_params["id"]), self.jobs.now())

    async def delete(self, request: Request, _: Fault | None) -> Response:
        return self.dialect.deleted(self._job(request.path_params["id"]), self.jobs)

    async def content(self, request: Request, fault: Fault | None) -> Response:
        job = self._job(request.path_params["id"])
        variant = self.dialect.check_content(request.query_params.get("variant"))
        self._check_ready(job)
        if job.url:
            raise ApiError(400, f"Video has been uploaded to cloud storage. Access it via: {job.url}", "400")
        if fault and fault.effect == "wrong_type":
            return JSONResponse({"status": "pending"})
        if fault and fault.effect == "redirect":
            return RedirectResponse(fault.url, 302)
        shown = replace(job, prompt=f"{job.prompt} (changed)") if "changed" in request.state.on_top else job
        body = await run_in_threadpool(_render, shown, variant)
        if "no_range" in request.state.on_top or not self.dialect.has_ranges:
            return Response(body, media_type=_MEDIA_TYPES[variant])
        return ranges.respond(body, _MEDIA_TYPES[variant], request.headers)

    async def _start_job(self, request: Request, fault: Fault | None, kind: str) -> Response:
        fields = await _fields(request)
        if not str(fields.get("prompt") or ""):
            raise ApiError(400, "Missing required parameter: 'prompt'.", "missing_required_parameter", "prompt")
        _check(fields)
        self.dialect.check_create(request, fields, self.jobs)
        job = self.jobs.create(
            fields,
            kind=kind,
            source=self._source(request, fields, kind),
            video_id=self.dialect.new_id(),
            error=(fault.code, fault.message) if fault and fault.effect == "fail_job" else None,
            expired=bool(fault and fault.effect == "expire"),
            url=fault.url if fault and fault.effect == "elsewhere" else None,
        )
        return JSONResponse(self.dialect.video(job, self.jobs.now()), self.dialect.create_status)

    def _source(self, request: Request, fields: dict[str, Any], kind: str) -> Job | None:
        if kind == "create":
            return None
        reference = {"id": request.path_params["id"]} if kind == "remix" else fields.get("video")
        if isinstance(reference, tuple):
            return None
        if isinstance(reference, str):
            reference = _json_object(reference)
        if not isinstance(reference, dict) or not reference.get("id"):
            raise ApiError(400, "Missing required parameter: 'video'.", "missing_required_parameter", "video")
        source = self._job(str(reference["id"]))
        if source.status(self.jobs.now()) != "completed":
            raise ApiError(400, "The source video is not completed.", "invalid_value", "video")
        return source

    def _job(self, video_id: str) -> Job:
        job = self.dialect.find(self.jobs, video_id)
        if job is None:
            raise ApiError(404, f"Video with id '{video_id}' not found.", "not_found")
        return job

    def _check_ready(self, job: Job) -> None:
        now = self.jobs.now()
        if job.is_running(now):
            raise self.dialect.not_ready(job)
        if job.error:
            raise ApiError(404, "Video generation failed; there is no content.", "video_failed")
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
            if name not in self.dialect.routes:
                response = self.dialect.no_route(request)
            else:
                request.state.on_top = self.faults.take_on_top(name)
                response = await self._answer(request, handler, self.faults.take(name))
            response.headers["Date"] = formatdate(self.jobs.now(), usegmt=True)
            self.log.add(name, request, response.status_code)
            return response

        return Route(path, self._guarded(endpoint), methods=[method])

    async def _answer(self, request: Request, handler: Handler, fault: Fault | None) -> Response:
        replaced = fault is not None and fault.effect in ("status", "drop")
        try:
            response = await handler(request, fault) if fault is None or not replaced or fault.accept else Response()
        except ApiError as error:
            if fault is not None:
                self.faults.give_back(fault)
            return self.dialect.error(error)
        return response if fault is None else await _spoiled(response, fault)

    def _guarded(self, endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            if self.api_key is not None and not self.dialect.authorized(request, self.api_key):
                return self.dialect.refuse_key()
            return await endpoint(request)

        return guarded


async def _spoiled(response: Response, fault: Fault) -> Response:
    match fault.effect:
        case "status":
            headers = {} if fault.retry_after is None else {"Retry-After": f"{fault.retry_after:g}"}
            body = {"error": {"message": fault.message, "type": "server_error", "param": None, "code": fault.code}}
            return JSONResponse(body, fault.status, headers)
        case "drop":
            return _BrokenOff(response, 0)
        case "truncate":
            return _BrokenOff(response, fault.fraction)
        case "slow":
            await asyncio.sleep(fault.seconds)
    return response


class _BrokenOff(Response):
    """Sends an answer with a part of its body, or nothing at all, and closes the connection."""

    def __init__(self, response: Response, fraction: float) -> None:
        super().__init__(response.body, response.status_code, dict(response.headers))
        self._part = self.body[: int(len(self.body) * fraction)]

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
    # The official client writes nested values as name[key]; everybody else as JSON text.
    async with request.form() as form:
        for name, value in form.items():
            outer, bracket, inner = name.partition("[")
            if isinstance(value, UploadFile):
                fields[name] = (value.content_type or "", len(await value.read()))
            elif bracket:
                fields.setdefault(outer, {})[inner.rstrip("]")] = value
            else:
                fields[name] = value
    return fields


def _json_object(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


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
