"""vLLM-Omni 0.30: accepts forms only; a failed job is an HTTP error with the whole Video in it; deleting cancels."""

from __future__ import annotations

import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from airflow_provider_sora.emulator.api_error import ApiError
from airflow_provider_sora.emulator.dialects.fastapi import FastApiServer
from airflow_provider_sora.emulator.jobs import Job, Jobs


class VllmOmni(FastApiServer):
    """vLLM-Omni."""

    name = "vllm-omni"

    def error_response(self, error: ApiError) -> Response:
        body = {"message": error.message, "type": "Bad Request", "param": error.param, "code": error.status}
        return JSONResponse({"error": body}, error.status)

    def check_create(self, request: Request, fields: dict[str, Any], jobs: Jobs) -> None:  # noqa: ARG002
        if not request.headers.get("content-type", "").startswith("multipart/"):
            missing = {"type": "missing", "loc": ("body", "prompt"), "msg": "Field required", "input": None}
            raise ApiError(400, str([missing]), "400")

    def new_id(self) -> str:
        return f"video_gen_{uuid.uuid4().hex}"

    def video(self, job: Job, now: float) -> dict[str, Any]:
        fields = super().video(job, now) | {"file_name": f"{job.id}.mp4", "quality": "default", "expires_at": None}
        if fields["error"]:
            # A prompt that the guardrail refuses is the client's error, everything else the server's.
            code = 400 if fields["error"]["code"] == "moderation_blocked" else 500
            fields |= {"progress": 90, "error": fields["error"] | {"code": code}}
        return fields

    def retrieve_response(self, job: Job, now: float) -> Response:
        fields = self.video(job, now)
        return JSONResponse(fields, fields["error"]["code"] if fields["error"] else 200)
