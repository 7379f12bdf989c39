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
    """vLLM-Omni 0.30: forms only; a failed job is an HTTP error with the whole Video in it; deleting cancels."""

    name = "vllm-omni"
    routes = _BASIC_ROUTES
    has_variants = False
    protects_running = False

    def error(self, error: ApiError) -> Response:
        body = {"message": error.message, "type": "Bad Request", "param": error.param, "code": error.status}
        return JSONResponse({"error": body}, error.status)

    def no_route(self, request: Request) -> Response:  # noqa: ARG002
        return JSONResponse({"detail": "Not Found"}, 404)

    def check_create(self, request: Request, fields: dict[str, Any], jobs: Jobs) -> None:  # noqa: ARG002
        if not request.headers.get("content-type", "").startswith("multipart/"):
            missing = {"type": "missing", "loc": ("body", "prompt"), "msg": "Field required", "input": None}
            raise ApiError(400, str([missing]), "400")

    def new_id(self) -> str:
        return f"video_gen_{uuid.uuid4().hex}"

    def video(self, job: Job, now: float) -> dict[str, Any]:
        shown = job.to_json(now) | {"file_name": f"{job.id}.mp4", "quality": "default", "expires_at": None}
        if shown["error"]:
            # The guardrail's refusal of a prompt is the request's fault, everything else the server's.
            code = 400 if shown["error"]["code"] == "moderation_blocked" else 500
            shown |= {"progress": 90, "error": shown["error"] | {"code": code}}
        return shown

    def retrieved(self, job: Job, now: float) -> Response:
        shown = self.video(job, now)
        return JSONResponse(shown, shown["error"]["code"] if shown["error"] else 200)


class SGLang(OpenAI):
    """SGLang Diffusion 0.5.23: bare UUIDs, no prompt in any answer, a list that does not say whether it has ended."""

    name = "sglang"
    routes = _BASIC_ROUTES
    has_variants = False
    protects_running = False

    def error(self, error: ApiError) -> Response:
        return JSONResponse({"detail": error.message}, error.status)

    def no_route(self, request: Request) -> Response:  # noqa: ARG002
        return JSONResponse({"detail": "Not Found"}, 404)

    def new_id(self) -> str:
        return str(uuid.uuid4())

    def video(self, job: Job, now: float) -> dict[str, Any]:
        shown = job.to_json(now)
        del shown["prompt"]
        failure = {"message": shown["error"]["message"]} if shown["error"] else None
        return shown | {"error": failure, "quality": "standard", "file_path": f"outputs/{job.id}.mp4"}

    def listed(self, request: Request, jobs: Jobs) -> Response:
        query = request.query_params
        limit, after = query.get("limit"), query.get("after")
        if limit is not None and not (limit.isdigit() and 1 <= int(limit) <= 100):
            raise ApiError(422, "Input should be between 1 and 100", "422", "limit")
        found, now = jobs.all(), jobs.now()
        if query.get("order", "desc") != "asc":
            found.reverse()
        if after is not None:
            ids = [job.id for job in found]
            found = found[ids.index(after) + 1 :] if after in ids else []
        page = found if limit is None else found[: int(limit)]
        return JSONResponse({"data": [self.video(job, now) for job in page], "object": "list"})

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
    """The LiteLLM proxy 1.109 over a vLLM-Omni: ids in base64 around the upstream's; failures wrapped in text.

    Create and retrieve name the proxy's own model, the list names the upstream's, and so do the ids.
    """

    name = "litellm"
    routes = ALL_ROUTES - {"delete"}
    has_ranges = False
    has_variants = False

    def refuse_key(self) -> Response:
        body = {"message": "No connected db.", "type": "no_db_connection", "param": None, "code": "400"}
        return JSONResponse({"error": body}, 400)

    def no_route(self, request: Request) -> Response:
        status = 405 if request.method == "DELETE" else 404
        return JSONResponse({"detail": "Method Not Allowed" if status == 405 else "Not Found"}, status)

    def new_id(self) -> str:
        return f"video_gen_{uuid.uuid4().hex}"

    def find(self, jobs: Jobs, video_id: str) -> Job | None:
        job = jobs.get(_unwrap(video_id))
        if job is None:
            message = "litellm.InternalServerError: HostedVllmException - video not found"
            raise ApiError(500, message, "500")
        return job

    def video(self, job: Job, now: float) -> dict[str, Any]:
        shown = job.to_json(now)
        wrapped = {"id": _wrap(job.id, job.model), "usage": {"duration_seconds": float(job.seconds)}}
        return {name: value for name, value in (shown | wrapped).items() if value is not None}

    def retrieved(self, job: Job, now: float) -> Response:
        if job.status(now) != "failed":
            # The proxy forgets the model here, so that a look answers another id than create did.
            return JSONResponse(self.video(job, now) | {"id": _wrap(job.id, "")})
        upstream = VllmOmni()
        failed = upstream.video(job, now)
        text = f"litellm.InternalServerError: HostedVllmException - {json.dumps(failed)}"
        status = failed["error"]["code"]
        return JSONResponse({"error": {"message": text, "type": None, "param": None, "code": str(status)}}, status)

    def listed(self, request: Request, jobs: Jobs) -> Response:
        if not (request.query_params.get("custom_llm_provider") or request.headers.get("custom-llm-provider")):
            raise ApiError(400, "custom_llm_provider is required to list videos", "400")
        now = jobs.now()
        page = [self._listed(job, now) for job in reversed(jobs.all())]
        first, last = (page[0]["id"], page[-1]["id"]) if page else (None, None)
        return JSONResponse({"object": "list", "data": page, "first_id": first, "last_id": last, "has_more": False})

    def _listed(self, job: Job, now: float) -> dict[str, Any]:
        model = f"upstream/{job.model}"
        return VllmOmni().video(job, now) | {"id": _wrap(job.id, model), "model": model}


class Aquiles(OpenAI):
    """Aquiles-Image 0.8.3: one job at a time, and status 500 in plain text for what it cannot read."""

    name = "aquiles"
    routes = _BASIC_ROUTES
    has_variants = False
    protects_running = False

    def error(self, error: ApiError) -> Response:
        if error.status == 400 and error.param is not None:
            return PlainTextResponse("Internal Server Error", 500, {"Connection": "close"})
        return JSONResponse({"detail": error.message}, error.status)

    def no_route(self, request: Request) -> Response:  # noqa: ARG002
        return JSONResponse({"detail": "Not Found"}, 404)

    def check_create(self, request: Request, fields: dict[str, Any], jobs: Jobs) -> None:  # noqa: ARG002
        if not isinstance(fields.get("seconds", ""), str):
            raise ApiError(400, "Input should be a valid string", "400", "seconds")
        reference = fields.get("input_reference")
        if isinstance(reference, tuple) and not reference[0].startswith("image/"):
            raise ApiError(400, "Unsupported image format.", "400")
        now = jobs.now()
        if any(job.is_running(now) for job in jobs.all()):
            raise ApiError(503, "The limit of 1 concurrent tasks has been reached. Please try again later.", "503")

    def video(self, job: Job, now: float) -> dict[str, Any]:
        shown = job.to_json(now)
        words = {"in_progress": "processing"}
        error = {"message": shown["error"]["message"]} if shown["error"] else None
        return shown | {"status": words.get(shown["status"], shown["status"]), "error": error, "quality": "standard"}

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
