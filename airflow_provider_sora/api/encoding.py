"""From a request to what goes over the wire: JSON, or a multipart form once a file is in it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_sora.api.requests import Request, Upload

FormPart = tuple[str | None, str | bytes, str] | tuple[None, str]


@dataclass(frozen=True)
class Call:
    """One HTTP exchange, ready to send; `path` is below the base URL."""

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    json: dict[str, Any] | None = None
    form: list[tuple[str, FormPart]] | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def encode(request: Request[Any]) -> Call:
    """The call for a request."""
    fields = request.fields()
    has_file = any(isinstance(value, Upload) for value in fields.values())
    return Call(
        method=request.method,
        path=request.path(),
        query=request.query(),
        json=fields if fields and not has_file else None,
        form=[(name, _form_part(value)) for name, value in fields.items()] if has_file else None,
    )


def _form_part(value: Any) -> FormPart:
    if isinstance(value, Upload):
        return (value.filename, value.content, value.content_type)
    return (None, value if isinstance(value, str) else json.dumps(value))
