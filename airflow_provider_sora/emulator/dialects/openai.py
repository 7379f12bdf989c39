"""The API as OpenAI published and hosted it: the base of all dialects."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from airflow_provider_sora.emulator.api_error import ApiError
from airflow_provider_sora.emulator.faults import Route
from airflow_provider_sora.emulator.jobs import Job, Jobs

ALL_ROUTES: frozenset[Route] = frozenset(
    {"create", "extend", "edit", "remix", "create_character", "get_character", "retrieve", "list", "delete", "content"}
)
BASIC_ROUTES: frozenset[Route] = frozenset({"create", "retrieve", "list", "delete", "content"})


class OpenAI:
    """The API as OpenAI published it.

    :cvar routes: the routes that the server has
    :cvar create_status: the HTTP status of an accepted job
    :cvar status_words: by status of the API the server's own word, where it has one. The client has a table of its
        own for such words, `_SYNONYMS` in ``api/protocol/models.py``: add them there too
    :cvar has_variants: whether there are thumbnails and spritesheets; otherwise the video is sent in their place
    :cvar has_ranges: whether a part of the content can be requested; otherwise it is always sent as a whole
    :cvar refuses_to_delete_running: whether a job has to end before it can be deleted
    """

    name: ClassVar[str] = "openai"
    base_path: ClassVar[str] = "/v1"
    routes: ClassVar[frozenset[Route]] = ALL_ROUTES
    create_status: ClassVar[int] = 200
    status_words: ClassVar[Mapping[str, str]] = {}
    has_variants: ClassVar[bool] = True
    has_ranges: ClassVar[bool] = True
    refuses_to_delete_running: ClassVar[bool] = True

    def is_authorized(self, request: Request, key: str) -> bool:
        """Whether a request has the API key."""
        return request.headers.get("authorization") == f"Bearer {key}" or request.headers.get("api-key") == key

    def unauthorized_response(self) -> Response:
        """The response to a wrong key."""
        return self.error_response(ApiError(401, "Incorrect API key provided.", "invalid_api_key"))

    def error_response(self, error: ApiError) -> Response:
        """An error in this server's words."""
        kind = "invalid_request_error" if error.status < 500 else "server_error"
        body = {"message": error.message, "type": kind, "param": error.param, "code": error.code}
        return JSONResponse({"error": body}, error.status)

    def unknown_route_response(self, request: Request) -> Response:  # noqa: ARG002 - for dialects that use it
        """The response to a path that the server does not have."""
        return self.error_response(ApiError(404, "Invalid URL", "unknown_url"))

    def check_create(self, request: Request, fields: dict[str, Any], jobs: Jobs) -> None:
        """Check whether this server accepts a job.

        :raises ApiError: it does not
        """

    def new_id(self) -> str:
        """An id for a new video."""
        return f"video_{secrets.token_hex(16)}"

    def find(self, jobs: Jobs, video_id: str) -> Job | None:
        """The job with an id."""
        return jobs.get(video_id)

    def video(self, job: Job, now: float) -> dict[str, Any]:
        """The job as this server shows it."""
        fields = job.to_json(now)
        return fields | {"status": self.status_words.get(fields["status"], fields["status"])}

    def retrieve_response(self, job: Job, now: float) -> Response:
        """The response to a request for a job."""
        return JSONResponse(self.video(job, now))

    def list_response(self, request: Request, jobs: Jobs) -> Response:
        """The response to a request for the list."""
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

    def delete_response(self, job: Job, jobs: Jobs) -> Response:
        """Delete a job; returns the response."""
        if self.refuses_to_delete_running and job.is_running(jobs.now()):
            raise ApiError(409, "Video is still being generated and cannot be deleted.", "video_in_progress")
        jobs.delete(job.id)
        return JSONResponse({"id": job.id, "object": "video.deleted", "deleted": True})

    def variant_to_send(self, variant: str | None) -> str:
        """The variant to send for the one that was requested; None where none was.

        :raises ApiError: there is no such variant
        """
        if variant not in (None, "video", "thumbnail", "spritesheet"):
            raise ApiError(400, f"Invalid value: '{variant}'.", "invalid_value", "variant")
        return (variant or "video") if self.has_variants else "video"

    def not_ready_error(self, job: Job) -> ApiError:  # noqa: ARG002 - for dialects that use it
        """The error for content of a job that has not ended."""
        return ApiError(404, "Generation is still in-progress.", "video_not_ready")
