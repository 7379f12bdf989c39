"""The Videos API over the emulator's jobs, in a dialect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from email.utils import formatdate
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from airflow_provider_sora.emulator import media, ranges
from airflow_provider_sora.emulator.api_error import ApiError
from airflow_provider_sora.emulator.clock import Clock
from airflow_provider_sora.emulator.controls import Controls, RequestLog
from airflow_provider_sora.emulator.dialects import OpenAI
from airflow_provider_sora.emulator.faults import Fault, Faults
from airflow_provider_sora.emulator.faults import Route as RouteName
from airflow_provider_sora.emulator.faulty_responses import apply_fault
from airflow_provider_sora.emulator.jobs import Job, Jobs
from airflow_provider_sora.emulator.request_body import check_character, check_job, read_fields, source_id

Handler = Callable[[Request, Fault | None], Awaitable[Response]]

_MEDIA_TYPES = {"video": "video/mp4", "thumbnail": "image/webp", "spritesheet": "image/jpeg"}


class VideosApi:
    """The routes of the API.

    :param api_key: the key that requests need; None: they need none
    """

    def __init__(self, jobs: Jobs, faults: Faults, clock: Clock, api_key: str | None, dialect: OpenAI) -> None:
        self.jobs = jobs
        self.faults = faults
        self.api_key = api_key
        self.dialect = dialect
        self.log = RequestLog()
        self._controls = Controls(jobs, faults, clock, self.log)

    def app(self) -> ASGIApp:
        """The ASGI application: the API below its base path, the emulator's controls below ``/_emulator``."""
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
            Route("/state", self._with_key(self._controls.state), methods=["GET"]),
            Route("/faults", self._with_key(self._controls.change_faults), methods=["POST", "DELETE"]),
            Route("/clock", self._with_key(self._controls.advance_clock), methods=["POST"]),
        ]
        return Starlette(routes=[Mount(self.dialect.base_path, routes=routes), Mount("/_emulator", routes=controls)])

    async def create(self, request: Request, fault: Fault | None) -> Response:
        return await self._create_job(request, fault, "create")

    async def extend(self, request: Request, fault: Fault | None) -> Response:
        return await self._create_job(request, fault, "extend")

    async def edit(self, request: Request, fault: Fault | None) -> Response:
        return await self._create_job(request, fault, "edit")

    async def remix(self, request: Request, fault: Fault | None) -> Response:
        return await self._create_job(request, fault, "remix")

    async def create_character(self, request: Request, _: Fault | None) -> Response:
        fields = await read_fields(request)
        check_character(fields)
        return JSONResponse(self.jobs.create_character(str(fields["name"])).to_json())

    async def get_character(self, request: Request, _: Fault | None) -> Response:
        character = self.jobs.characters.get(request.path_params["id"])
        if character is None:
            raise ApiError(404, "Character not found.", "not_found")
        return JSONResponse(character.to_json())

    async def list(self, request: Request, _: Fault | None) -> Response:
        return self.dialect.list_response(request, self.jobs)

    async def retrieve(self, request: Request, _: Fault | None) -> Response:
        return self.dialect.retrieve_response(self._job(request.path_params["id"]), self.jobs.now())

    async def delete(self, request: Request, _: Fault | None) -> Response:
        return self.dialect.delete_response(self._job(request.path_params["id"]), self.jobs)

    async def content(self, request: Request, fault: Fault | None) -> Response:
        job = self._job(request.path_params["id"])
        variant = self.dialect.variant_to_send(request.query_params.get("variant"))
        self._check_has_content(job)
        if job.url:
            raise ApiError(400, f"Video has been uploaded to cloud storage. Access it via: {job.url}", "400")
        if fault and fault.effect == "wrong_type":
            return JSONResponse({"status": "pending"})
        if fault and fault.effect == "redirect":
            return RedirectResponse(fault.url, 302)
        effects = request.state.content_effects
        rendered = replace(job, prompt=f"{job.prompt} (changed)") if "changed" in effects else job
        body = await run_in_threadpool(_render, rendered, variant)
        if "no_range" in effects or not self.dialect.has_ranges:
            return Response(body, media_type=_MEDIA_TYPES[variant])
        return ranges.respond(body, _MEDIA_TYPES[variant], request.headers)

    async def _create_job(self, request: Request, fault: Fault | None, kind: str) -> Response:
        fields = await read_fields(request)
        check_job(fields)
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
        if isinstance(reference, tuple):  # an uploaded file
            return None
        source = self._job(source_id(reference))
        if source.status(self.jobs.now()) != "completed":
            raise ApiError(400, "The source video is not completed.", "invalid_value", "video")
        return source

    def _job(self, video_id: str) -> Job:
        job = self.dialect.find(self.jobs, video_id)
        if job is None:
            raise ApiError(404, f"Video with id '{video_id}' not found.", "not_found")
        return job

    def _check_has_content(self, job: Job) -> None:
        now = self.jobs.now()
        if job.is_running(now):
            raise self.dialect.not_ready_error(job)
        if job.error:
            raise ApiError(404, "Video generation failed; there is no content.", "video_failed")
        if now >= job.expires_at:
            raise ApiError(404, "The content of this video has expired.", "video_expired")

    def _route(self, path: str, name: RouteName, handler: Handler, method: str) -> Route:
        async def endpoint(request: Request) -> Response:
            if name not in self.dialect.routes:
                response = self.dialect.unknown_route_response(request)
            else:
                request.state.content_effects = self.faults.take_content_effects(name)
                response = await self._respond(request, handler, self.faults.take(name))
            response.headers["Date"] = formatdate(self.jobs.now(), usegmt=True)
            self.log.add(name, request, response.status_code)
            return response

        return Route(path, self._with_key(endpoint), methods=[method])

    async def _respond(self, request: Request, handler: Handler, fault: Fault | None) -> Response:
        replaced = fault is not None and fault.effect in ("status", "drop")
        try:
            response = await handler(request, fault) if fault is None or not replaced or fault.accept else Response()
        except ApiError as error:
            if fault is not None:
                self.faults.give_back(fault)
            return self.dialect.error_response(error)
        return response if fault is None else await apply_fault(response, fault)

    def _with_key(self, endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def checked(request: Request) -> Response:
            if self.api_key is not None and not self.dialect.is_authorized(request, self.api_key):
                return self.dialect.unauthorized_response()
            return await endpoint(request)

        return checked


def _render(job: Job, variant: str) -> bytes:
    if variant == "thumbnail":
        return media.thumbnail(job.prompt, job.size)
    if variant == "spritesheet":
        return media.spritesheet(job.prompt, job.size)
    return media.mp4(job.prompt, job.seconds, job.size)
