"""The body of a request: JSON, or a multipart form for files and for servers that require one."""

from __future__ import annotations

import base64
import json
from typing import Any, Literal, TypedDict

import httpx

from airflow_provider_sora.api.protocol.requests import InputFile, Request
from airflow_provider_sora.exceptions import SoraConfigError

Encoding = Literal["auto", "json", "multipart"]
Sent = Literal["json", "multipart"]
FormPart = tuple[str | None, str | bytes, str] | tuple[None, str]


class RequestBody(TypedDict, total=False):
    """A body as httpx takes it: one of the two, or none."""

    json: dict[str, Any]
    files: list[tuple[str, FormPart]]


def encode(request: Request[Any], encoding: Encoding = "auto") -> RequestBody:
    """The body of a request.

    :raises SoraConfigError: JSON was set for a request with a file that does not fit into JSON
    """
    fields = request.fields()
    if not fields:
        return {}
    has_file = any(isinstance(value, InputFile) for value in fields.values())
    if encoding == "multipart" or (has_file and encoding == "auto") or request.always_form:
        return {"files": [(name, _form_part(value)) for name, value in fields.items()]}
    return {"json": {name: _json_value(request, name, value) for name, value in fields.items()}}


def fits_json(request: Request[Any]) -> bool:
    """Whether a request can be sent as JSON, which holds an image as a data URL and no other file."""
    return all(_fits_json(value) for value in request.fields().values())


def _fits_json(value: Any) -> bool:
    return not isinstance(value, InputFile) or value.content_type.startswith("image/")


def _form_part(value: Any) -> FormPart:
    if isinstance(value, InputFile):
        return (value.filename, value.content, value.content_type)
    return (None, value if isinstance(value, str) else json.dumps(value))


def _json_value(request: Request[Any], name: str, value: Any) -> Any:
    if isinstance(value, InputFile):
        if not _fits_json(value):
            raise SoraConfigError(
                f"{request}: {name} is a file, which does not fit into JSON: set encoding to auto in the "
                "connection's Extra, or name a video by its id"
            )
        return {"image_url": data_url(value)}
    return value


def data_url(upload: InputFile) -> str:
    """A file as a ``data:`` URL."""
    return f"data:{upload.content_type};base64,{base64.b64encode(upload.content).decode()}"


def sent_encoding(request: httpx.Request) -> Sent | None:
    """How the body of a request was encoded; None without one."""
    content_type = request.headers.get("content-type", "")
    if content_type.startswith("multipart/"):
        return "multipart"
    return "json" if content_type.startswith("application/json") else None
