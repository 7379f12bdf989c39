"""How real servers differ from the description of the API: each dialect behaves as its server was seen to.

A dialect says which routes there are, what a request has to be like, and how answers look. What it leaves alone is as
OpenAI had it.
"""

from __future__ import annotations

import base64
import json
import secrets
import uuid
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from airflow_provider_sora.emulator.faults import Route
from airflow_provider_sora.emulator.jobs import Job, Jobs

ALL_ROUTES: frozenset[Route] = frozenset(
    {"create", "extend", "edit", "remix", "create_character", "get_character", "retrieve", "list", "delete", "content"}
)
_BASIC_ROUTES: frozenset[Route] = frozenset({"create", "retrieve", "list", "delete", "content"})


class ApiError(Exception):
    """An answer that is an error, before a dialect has put it into words."""

    def __init__(self, status: int, message: str, code: str, param: str | None = None) -> None:
        self.status = status
        self.message = message
        self.code = code
        self.param = param


class OpenAI:
    """The API as OpenAI's hosted copy had it."""

    name: ClassVar[str] = "openai"
    base_path: ClassVar[str] = "/v1"
    routes: ClassVar[frozenset[Route]] = ALL_ROUTES
    create_status: ClassVar[int] = 200
    has_variants: ClassVar[bool] = True
    #: whether a part of the content can be asked for; otherwise it is always sent whole
    has_ranges: ClassVar[bool] = True
    #: whether deleting a running job is refused
    protects_running: ClassVar[bool] = True

    def authorized(self, request: Request, key: str) -> bool:
        """Whether a request carries the key."""
        return request.headers.get("authorization") == f"Bearer {key}" or request.headers.get("api-key") == key

    def refuse_key(self) -> Response:
        """The answer to a wrong key."""
        return self.error(ApiError(401, "Incorrect API key provided.", "invalid_api_key"))

    def error(self, error: ApiError) -> Response:
        """An error as this server words it."""
        kind = "invalid_request_error" if error.status < 500 else "server_error"
        body = {"message": error.message, "type": kind, "param": error.param, "code": error.code}
        return JSONResponse({"error": body}, error.status)

    def no_route(self, request: Request) -> Response:  # noqa: ARG002 - for dialects that look
        """The answer to a path that is not there."""
        return self.error(ApiError(404, "Invalid URL", "unknown_url"))

    def check_create(self, request: Request, fields: dict[str, Any], jobs: Jobs) -> None:
        """Refuse what this server does not take.

        :raises ApiError: with this server's words
        """

    def new_id(self) -> str:
        """An id for a new video."""
        return f"video_{secrets.token_hex(16)}"

    def find(self, jobs: Jobs, video_id: str) -> Job | None:
        """The job that an id means."""
        return jobs.get(video_id)

    def video(self, job: Job, now: float) -> dict[str, Any]:
        """A video as this server shows it."""
        return job.to_json(now)

    def retrieved(self, job: Job, now: float) -> Response:
        """The answer to a look at a job."""
        return JSONResponse(self.video(job, now))

    def listed(self, request: Request, jobs: Jobs) -> Response:
        """The answer to a request for the list."""
        query = request.query_params
        try:
            limit = int(query.get("limit", 20))
        except ValueError:
            raise ApiError(400, "Invalid type for 'limit'.", "invalid_type", "limit") from None
        page, more = jobs.page(limit, query.get("order", "desc"), query.get("after"))
        now = jobs.now()
        return JSONResponse(
            {
                "object": "list",
                "data": [self.video(job, now) for job in page],
                "first_id": page[0].id if page else None,
                "last_id": page[-1].id if page else None,
                "has_more": more,
            }
        )

    def deleted(self, job: Job, jobs: Jobs) -> Response:
        """Delete a video, and the answer to it."""
        if self.protects_running and job.is_running(jobs.now()):
            raise ApiError(409, "Video is still being generated and cannot be deleted.", "video_in_progress")
        jobs.delete(job.id)
        return JSONResponse({"id": job.id, "object": "video.deleted", "deleted": True})

    def check_content(self, variant: str | None) -> str:
        """The variant to send for the one asked for; None is none.

        :raises ApiError: there is no such variant
        """
        if variant not in (None, "video", "thumbnail", "spritesheet"):
            raise ApiError(400, f"Invalid value: '{variant}'.", "invalid_value", "variant")
        return (variant or "video") if self.has_variants else "video"

    def not_ready(self, job: Job) -> ApiError:  # noqa: ARG002 - for dialects that look
        """The refusal of content before the job has ended."""
        return ApiError(404, "Generation is still in-progress.", "video_not_ready")


class VllmOmni(OpenAI):
    """vLLM-Omni: forms only; a failed job is an HTTP error with the whole Video in it; deleting cancels."""

    name = "vllm-omni"
    routes = _BASIC_ROUTES
    has_variants = False
    protects_running = False

    def error(self, error: ApiError) -> Response:
        body = {"message": error.message, "type": "BadRequestError", "param": None, "code": error.status}
        return JSONResponse({"error": body}, error.status)

    def no_route(self, request: Request) -> Response:  # noqa: ARG002
        return JSONResponse({"detail": "Not Found"}, 404)

    def check_create(self, request: Request, fields: dict[str, Any], jobs: Jobs) -> None:  # noqa: ARG002
        if not request.headers.get("content-type", "").startswith("multipart/"):
            raise ApiError(400, "[{'type': 'missing', 'loc': ('body', 'prompt'), 'msg': 'Field required'}]", "400")

    def video(self, job: Job, now: float) -> dict[str, Any]:
        shown = job.to_json(now) | {"file_name": f"{job.id}.mp4", "usage": None, "expires_at": None}
        if shown["status"] == "failed":
            shown["progress"] = 90
        return shown

    def retrieved(self, job: Job, now: float) -> Response:
        shown = self.video(job, now)
        status = {None: 200, "moderation_blocked": 400}.get((shown["error"] or {}).get("code"), 500)
        return JSONResponse(shown, status)


class SGLang(OpenAI):
    """SGLang Diffusion: bare UUIDs, words of its own, no variants at all, progress stuck until the end."""

    name = "sglang"
    routes = _BASIC_ROUTES
    has_variants = False
    protects_running = False
    _words: ClassVar[dict[str, str]] = {"queued": "pending", "in_progress": "processing", "completed": "succeeded"}

    def error(self, error: ApiError) -> Response:
        return JSONResponse({"detail": error.message}, error.status)

    def no_route(self, request: Request) -> Response:  # noqa: ARG002
        return JSONResponse({"detail": "Not Found"}, 404)

    def new_id(self) -> str:
        return str(uuid.uuid4())

    def video(self, job: Job, now: float) -> dict[str, Any]:
        shown = job.to_json(now)
        done = shown["status"] == "completed"
        failure = shown["error"]["message"] if shown["error"] else None
        return shown | {
            "status": self._words.get(shown["status"], shown["status"]),
            "progress": 100 if done else 0,
            "size": shown["size"] if done else "",
            "error": failure,
            "file_path": f"outputs/{job.id}.mp4",
        }

    def deleted(self, job: Job, jobs: Jobs) -> Response:
        jobs.delete(job.id)  # it goes on rendering, which nobody sees any more
        return JSONResponse(self.video(job, jobs.now()) | {"status": "deleted"})

    def check_content(self, variant: str | None) -> str:
        if variant is not None and variant != "thumbnail":
            raise ApiError(404, "Only the video itself can be downloaded", "404")
        return "video"

    def not_ready(self, job: Job) -> ApiError:  # noqa: ARG002
        return ApiError(404, "Generation is still in-progress", "404")


class LiteLLM(OpenAI):
    """The LiteLLM proxy: ids in base64, others on the list, which never ends; failures wrapped in text; no delete."""

    name = "litellm"
    routes = ALL_ROUTES - {"delete"}
    has_ranges = False

    def refuse_key(self) -> Response:
        return JSONResponse({"error": {"message": "No connected db.", "type": "no_db_connection", "code": "400"}}, 400)

    def no_route(self, request: Request) -> Response:
        status = 405 if request.method == "DELETE" else 404
        return JSONResponse({"detail": "Method Not Allowed" if status == 405 else "Not Found"}, status)

    def find(self, jobs: Jobs, video_id: str) -> Job | None:
        job = jobs.get(_unwrap(video_id))
        if job is None:
            message = "litellm.InternalServerError: HostedVllmException - video not found"
            raise ApiError(500, message, "500")
        return job

    def video(self, job: Job, now: float) -> dict[str, Any]:
        shown = job.to_json(now)
        wrapped = {
            "id": _wrap(job.id, job.model),
            "usage": {"duration_seconds": float(job.seconds)},
            "progress": f"{job.progress(now)}%",
        }
        return {name: value for name, value in (shown | wrapped).items() if value is not None}

    def retrieved(self, job: Job, now: float) -> Response:
        if job.status(now) != "failed":
            # The proxy forgets the model here, so that a look answers another id than create did.
            return JSONResponse(self.video(job, now) | {"id": _wrap(job.id, "")})
        text = f"litellm.InternalServerError: HostedVllmException - {json.dumps(job.to_json(now))}"
        return JSONResponse({"error": {"message": text, "type": None, "param": None, "code": "500"}}, 500)

    def listed(self, request: Request, jobs: Jobs) -> Response:
        if not (request.query_params.get("custom_llm_provider") or request.headers.get("custom-llm-provider")):
            raise ApiError(400, "custom_llm_provider is required to list videos", "400")
        now = jobs.now()
        page = [job.to_json(now) for job in reversed(jobs.all())]
        last = page[-1]["id"] if page else None
        return JSONResponse({"object": "list", "data": page, "first_id": None, "last_id": last, "has_more": True})


class Aquiles(OpenAI):
    """Aquiles-Image: one job at a time, plain-text errors with status 500, numbers where others have text."""

    name = "aquiles"
    routes = _BASIC_ROUTES
    create_status = 201
    has_variants = False
    protects_running = False

    def error(self, error: ApiError) -> Response:
        if error.status == 400 and error.param is not None:
            return PlainTextResponse("Internal Server Error", 500, {"Connection": "close"})
        return JSONResponse({"detail": error.message}, error.status)

    def no_route(self, request: Request) -> Response:  # noqa: ARG002
        return JSONResponse({"detail": "Not Found"}, 404)

    def check_create(self, request: Request, fields: dict[str, Any], jobs: Jobs) -> None:  # noqa: ARG002
        reference = fields.get("input_reference")
        if isinstance(reference, tuple) and not reference[0].startswith("image/"):
            raise ApiError(400, f"Unsupported image type {reference[0]}", "400")
        now = jobs.now()
        if any(job.is_running(now) for job in jobs.all()):
            raise ApiError(503, "The server has reached its limit of 1 concurrent tasks", "503")

    def video(self, job: Job, now: float) -> dict[str, Any]:
        shown = job.to_json(now)
        words = {"in_progress": "processing"}
        error = {"message": shown["error"]["message"], "code": 500} if shown["error"] else ""
        return shown | {
            "seconds": int(job.seconds),
            "status": words.get(shown["status"], shown["status"]),
            "error": error,
        }

    def deleted(self, job: Job, jobs: Jobs) -> Response:
        jobs.delete(job.id)
        return JSONResponse({"id": job.id, "object": "video", "deleted": True})

    def not_ready(self, job: Job) -> ApiError:
        return ApiError(400, f"Video {job.id} is not ready", "400")


class Azure(OpenAI):
    """Azure AI Foundry: under ``/openai/v1``, the key in the header ``api-key`` or as a bearer token."""

    name = "azure"
    base_path = "/openai/v1"
    routes = _BASIC_ROUTES | {"remix"}

    def no_route(self, request: Request) -> Response:  # noqa: ARG002
        return JSONResponse({"error": {"code": "404", "message": "Resource not found"}}, 404)


DIALECTS: dict[str, type[OpenAI]] = {
    dialect.name: dialect for dialect in (OpenAI, VllmOmni, SGLang, LiteLLM, Aquiles, Azure)
}


def _wrap(video_id: str, model: str) -> str:
    text = f"litellm:custom_llm_provider:hosted_vllm;model_id:{model};video_id:{video_id}"
    return "video_" + base64.b64encode(text.encode()).decode()


def _unwrap(video_id: str) -> str:
    try:
        text = base64.b64decode(video_id.removeprefix("video_"), validate=True).decode()
    except ValueError:
        return video_id
    return text.rpartition("video_id:")[2] if text.startswith("litellm:") else video_id
