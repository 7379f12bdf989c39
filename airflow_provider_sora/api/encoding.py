"""From a request to what goes over the wire: JSON, or a multipart form for files and for servers that want one."""

from __future__ import annotations

import base64
import json
from typing import Any, Literal, TypedDict

from airflow_provider_sora.api.requests import Request, Upload
from airflow_provider_sora.exceptions import SoraConfigError

Encoding = Literal["auto", "json", "multipart"]
SecondsAs = Literal["text", "number"]
FormPart = tuple[str | None, str | bytes, str] | tuple[None, str]


class Body(TypedDict, total=False):
    """What httpx takes: one of the two, or none."""

    json: dict[str, Any]
    files: list[tuple[str, FormPart]]


def encode(request: Request[Any], encoding: Encoding = "auto", seconds_as: SecondsAs = "text") -> Body:
    """The body of a request.

    :raises SoraConfigError: JSON was forced for a file that cannot be put into it
    """
    fields = request.fields()
    if not fields:
        return {}
    has_file = any(isinstance(value, Upload) for value in fields.values())
    if encoding == "multipart" or (has_file and encoding == "auto") or request.always_form:
        return {"files": [(name, _form_part(value)) for name, value in fields.items()]}
    return {"json": {name: _json_value(request, name, value, seconds_as) for name, value in fields.items()}}


def _form_part(value: Any) -> FormPart:
    if isinstance(value, Upload):
        return (value.filename, value.content, value.content_type)
    return (None, value if isinstance(value, str) else json.dumps(value))


def _json_value(request: Request[Any], name: str, value: Any, seconds_as: SecondsAs) -> Any:
    if isinstance(value, Upload):
        if not value.content_type.startswith("image/"):
            raise SoraConfigError(
                f"{request}: {name} is a file, which does not go into JSON: set encoding to auto in the "
                "connection's Extra, or name a video by its id"
            )
        return {"image_url": data_url(value)}
    if name == "seconds" and seconds_as == "number":
        return float(value) if "." in value else int(value)
    return value


def data_url(upload: Upload) -> str:
    """A file as a ``data:`` URL."""
    return f"data:{upload.content_type};base64,{base64.b64encode(upload.content).decode()}"
