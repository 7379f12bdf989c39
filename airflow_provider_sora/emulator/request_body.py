"""Reads the body of a request, as JSON or a form, and checks its fields."""

from __future__ import annotations

import json
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request

from airflow_provider_sora.emulator import media
from airflow_provider_sora.emulator.api_error import ApiError


async def read_fields(request: Request) -> dict[str, Any]:
    """The fields of a body; of a file only its content type and length are kept."""
    if request.headers.get("content-type", "").startswith("application/json"):
        body = await request.json()
        if not isinstance(body, dict):
            raise ApiError(400, "The body has to be a JSON object.", "invalid_body")
        return body
    fields: dict[str, Any] = {}
    # The official client writes nested values as name[key]; other clients write them as JSON text.
    async with request.form() as form:
        for name, value in form.items():
            outer, bracket, inner = name.partition("[")
            if isinstance(value, UploadFile):
                fields[name] = (value.content_type or "", len(await value.read()))
            elif bracket:
                fields.setdefault(outer, {})[inner.rstrip("]")] = value
            else:
                fields[name] = value
    return fields


def check_job(fields: dict[str, Any]) -> None:
    """Check the fields that every job has.

    :raises ApiError: one is missing or invalid
    """
    if not str(fields.get("prompt") or ""):
        raise missing_parameter("prompt")
    try:
        media.frame_size(str(fields.get("size") or "720x1280"))
    except ValueError as error:
        raise ApiError(400, str(error), "invalid_value", "size") from None
    seconds = str(fields.get("seconds") or "4")
    if not seconds.isdigit() or not 1 <= int(seconds) <= 120:
        raise ApiError(400, f"Invalid value: '{seconds}'. Has to be 1 to 120 seconds.", "invalid_value", "seconds")


def check_character(fields: dict[str, Any]) -> None:
    """Check the fields of a character.

    :raises ApiError: one is missing or invalid
    """
    if not 1 <= len(str(fields.get("name") or "")) <= 80:
        raise ApiError(400, "Invalid 'name': 1 to 80 characters.", "invalid_value", "name")
    if not isinstance(fields.get("video"), tuple):
        raise missing_parameter("video")


def source_id(reference: object) -> str:
    """The id in a reference to a video, which is an object or its JSON text.

    :raises ApiError: there is none
    """
    if isinstance(reference, str):
        reference = _json_value(reference)
    if not isinstance(reference, dict) or not reference.get("id"):
        raise missing_parameter("video")
    return str(reference["id"])


def missing_parameter(name: str) -> ApiError:
    """The error for a field that is missing."""
    return ApiError(400, f"Missing required parameter: '{name}'.", "missing_required_parameter", name)


def _json_value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
