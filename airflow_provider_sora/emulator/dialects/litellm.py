"""The LiteLLM proxy 1.109 over a vLLM-Omni: ids in base64 around those of the upstream, failures wrapped in text."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from airflow_provider_sora.emulator.api_error import ApiError
from airflow_provider_sora.emulator.dialects.openai import ALL_ROUTES, OpenAI
from airflow_provider_sora.emulator.dialects.vllm_omni import VllmOmni
from airflow_provider_sora.emulator.jobs import Job, Jobs


class LiteLLM(OpenAI):
    """The LiteLLM proxy. Create and retrieve name its own model; the list, and the ids in it, that of the upstream."""

    name = "litellm"
    routes = ALL_ROUTES - {"delete"}
    has_ranges = False
    has_variants = False

    def unauthorized_response(self) -> Response:
        body = {"message": "No connected db.", "type": "no_db_connection", "param": None, "code": "400"}
        return JSONResponse({"error": body}, 400)

    def unknown_route_response(self, request: Request) -> Response:
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
        wrapped = {"id": _wrap(job.id, job.model), "usage": {"duration_seconds": float(job.seconds)}}
        fields = super().video(job, now) | wrapped
        return {name: value for name, value in fields.items() if value is not None}

    def retrieve_response(self, job: Job, now: float) -> Response:
        if job.status(now) != "failed":
            # The proxy loses the model here, so the response has another id than that of create.
            return JSONResponse(self.video(job, now) | {"id": _wrap(job.id, "")})
        failed = VllmOmni().video(job, now)
        text = f"litellm.InternalServerError: HostedVllmException - {json.dumps(failed)}"
        status = failed["error"]["code"]
        return JSONResponse({"error": {"message": text, "type": None, "param": None, "code": str(status)}}, status)

    def list_response(self, request: Request, jobs: Jobs) -> Response:
        if not (request.query_params.get("custom_llm_provider") or request.headers.get("custom-llm-provider")):
            raise ApiError(400, "custom_llm_provider is required to list videos", "400")
        now = jobs.now()
        page = [_in_list(job, now) for job in reversed(jobs.all())]
        first, last = (page[0]["id"], page[-1]["id"]) if page else (None, None)
        return JSONResponse({"object": "list", "data": page, "first_id": first, "last_id": last, "has_more": False})


def _in_list(job: Job, now: float) -> dict[str, Any]:
    model = f"upstream/{job.model}"
    return VllmOmni().video(job, now) | {"id": _wrap(job.id, model), "model": model}


def _wrap(video_id: str, model: str) -> str:
    text = f"litellm:custom_llm_provider:hosted_vllm;model_id:{model};video_id:{video_id}"
    return "video_" + base64.b64encode(text.encode()).decode()


def _unwrap(video_id: str) -> str:
    try:
        text = base64.b64decode(video_id.removeprefix("video_"), validate=True).decode()
    except ValueError:
        return video_id
    return text.rpartition("video_id:")[2] if text.startswith("litellm:") else video_id
