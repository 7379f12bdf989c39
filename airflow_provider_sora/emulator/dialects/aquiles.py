"""Aquiles-Image 0.8.3: one job at a time, and status 500 in plain text for input that it cannot read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from airflow_provider_sora.emulator.api_error import ApiError
from airflow_provider_sora.emulator.dialects.fastapi import FastApiServer
from airflow_provider_sora.emulator.jobs import Job, Jobs


class Aquiles(FastApiServer):
    """Aquiles-Image."""

    name = "aquiles"
    status_words: ClassVar[Mapping[str, str]] = {"in_progress": "processing"}

    def error_response(self, error: ApiError) -> Response:
        if error.status == 400 and error.param is not None:
            return PlainTextResponse("Internal Server Error", 500, {"Connection": "close"})
        return super().error_response(error)

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
        fields = super().video(job, now)
        error = {"message": fields["error"]["message"]} if fields["error"] else None
        return fields | {"error": error, "quality": "standard"}

    def not_ready_error(self, job: Job) -> ApiError:
        return ApiError(400, f"Video {job.id} is not ready", "400")
