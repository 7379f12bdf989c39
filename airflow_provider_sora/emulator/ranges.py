"""The whole of a body or a part of it, as file servers hand them out (RFC 9110, section 14)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from starlette.responses import Response


def respond(body: bytes, media_type: str, asked: Mapping[str, str]) -> Response:
    """The whole, or the part that the request's headers `asked` for, of the version they name."""
    version = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": version, "Accept-Ranges": "bytes"}
    part = _part(asked.get("range", ""), len(body)) if asked.get("if-range", version) == version else None
    if part is None:
        return Response(body, 200, headers, media_type)
    if not part:
        return Response(b"", 416, headers | {"Content-Range": f"bytes */{len(body)}"})
    headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{len(body)}"
    return Response(body[part.start : part.stop], 206, headers, media_type)


def _part(asked: str, size: int) -> range | None:
    """The bytes asked for, none of them if there are none such; None to ignore it: no range, several, nonsense."""
    found = re.fullmatch(r"bytes=([0-9]{0,19})-([0-9]{0,19})", asked)
    if not found or found[0] == "bytes=-":
        return None
    first, last = found.groups()
    if not first:
        return range(max(size - int(last), 0), size)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, size) if last else size)
