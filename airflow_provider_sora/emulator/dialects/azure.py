"""Azure AI Foundry: below ``/openai/v1``, with the key in the header ``api-key`` or as a bearer token."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from airflow_provider_sora.emulator.dialects.openai import BASIC_ROUTES, OpenAI


class Azure(OpenAI):
    """Azure AI Foundry."""

    name = "azure"
    base_path = "/openai/v1"
    routes = BASIC_ROUTES | {"remix"}

    def unknown_route_response(self, request: Request) -> Response:  # noqa: ARG002
        return JSONResponse({"error": {"code": "404", "message": "Resource not found"}}, 404)
