"""SGLang Diffusion 0.5.23: bare UUIDs, no prompt in any response, and a list that does not say whether it has ended."""

from __future__ import annotations

import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from airflow_provider_sora.emulator.api_error import ApiError
from airflow_provider_sora.emulator.dialects.fastapi import FastApiServer
from airflow_provider_sora.emulator.jobs import Job, Jobs


class SGLang(FastApiServer):
    """SGLang Diffusion."""

    name = "sglang"

    def new_id(self) -> str:
        return str(uuid.uuid4())

    def video(self, job: Job, now: float) -> dict[str, Any]:
        fields = super().video(job, now)
        del fields["prompt"]
        error = {"message": fields["error"]["message"]} if fields["error"] else None
        return fields | {"error": error, "quality": "standard", "file_path": f"outputs/{job.id}.mp4"}

    def list_response(self, request: Request, jobs: Jobs) -> Response:
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

    def delete_response(self, job: Job, jobs: Jobs) -> Response:
        jobs.delete(job.id)  # the server continues to render a running job, but no longer shows it
        return JSONResponse(self.video(job, jobs.now()) | {"status": "deleted"})

    def variant_to_send(self, variant: str | None) -> str:
        if variant is not None and variant != "thumbnail":
            raise ApiError(404, "Only the video itself can be downloaded", "404")
        return "video"

    def not_ready_error(self, job: Job) -> ApiError:  # noqa: ARG002
        return ApiError(404, "Generation is still in-progress", "404")
