"""How a simulated create fails, by the name of the fault."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

# Makes a response with the headers that the server sends with each.
MakeResponse = Callable[[dict[str, str]], httpx.Response]


def _status(status: int, body: Any = None, **more: str) -> MakeResponse:
    return lambda headers: httpx.Response(status, json=body or {"error": "no"}, headers={**headers, **more})


NOT_ACCEPTED: dict[str, MakeResponse] = {
    "429": _status(429),
    "400": _status(400),
    "500, not accepted": _status(500),
    "busy": _status(503, {"detail": "Server is busy: limit of 1 concurrent tasks reached"}),
    "503 for 5 s": _status(503, **{"Retry-After": "5"}),
    "503 for 20 s": _status(503, **{"Retry-After": "20"}),
    "503 for 30 s": _status(503, **{"Retry-After": "30"}),
    "503 for 31 s": _status(503, **{"Retry-After": "31"}),
    "redirect, not accepted": _status(302, Location="http://other/"),
}
ACCEPTED: dict[str, MakeResponse] = {
    "502, accepted": _status(502),
    "408, accepted": _status(408),
    "unreadable, accepted": lambda headers: httpx.Response(200, text="ok", headers=headers),
    "503 for 5 s, accepted": _status(503, **{"Retry-After": "5"}),
    "redirect, accepted": _status(307, Location="http://other/"),
}
POST_FAULTS = ["dies before", "dies after", "no connection", "no response", *NOT_ACCEPTED, *ACCEPTED]
