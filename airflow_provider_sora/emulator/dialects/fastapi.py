"""What the self-hosted inference servers have in common: FastAPI applications with the basic routes."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from airflow_provider_sora.emulator.api_error import ApiError
from airflow_provider_sora.emulator.dialects.openai import BASIC_ROUTES, OpenAI


class FastApiServer(OpenAI):
    """The base of their dialects; it is none by itself."""

    routes = BASIC_ROUTES
    has_variants = False
    refuses_to_delete_running = False

    def error_response(self, error: ApiError) -> Response:
        return JSONResponse({"detail": error.message}, error.status)

    def unknown_route_response(self, request: Request) -> Response:  # noqa: ARG002
        return JSONResponse({"detail": "Not Found"}, 404)
