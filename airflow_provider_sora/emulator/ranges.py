"""Range requests, as file servers answer them (RFC 9110, section 14)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from starlette.responses import Response


def respond(body: bytes, media_type: str, request_headers: Mapping[str, str]) -> Response:
    """The whole body, or the part that the request has asked for if that is of the same version."""
    version = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": version, "Accept-Ranges": "bytes"}
    same_version = request_headers.get("if-range", version) == version
    part = _part(request_headers.get("range", ""), len(body)) if same_version else None
    if part is None:
        return Response(body, 200, headers, media_type)
    if not part:
        return Response(b"", 416, headers | {"Content-Range": f"bytes */{len(body)}"})
    headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{len(body)}"
    return Response(body[part.start : part.stop], 206, headers, media_type)


def _part(requested: str, size: int) -> range | None:
    """The requested bytes, which may be none; None where the header has no range, several, or is invalid: ignore it."""
    found = re.fullmatch(r"bytes=([0-9]{0,19})-([0-9]{0,19})", requested)
    if not found or found[0] == "bytes=-":
        return None
    first, last = found.groups()
    if not first:
        return range(max(size - int(last), 0), size)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, size) if last else size)
