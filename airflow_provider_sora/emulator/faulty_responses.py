"""Applies a fault to a response: another status, a late one, or one whose connection breaks."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from airflow_provider_sora.emulator.faults import Fault


async def apply_fault(response: Response, fault: Fault) -> Response:
    """The response as the fault changes it."""
    match fault.effect:
        case "status":
            headers = {} if fault.retry_after is None else {"Retry-After": f"{fault.retry_after:g}"}
            body = {"error": {"message": fault.message, "type": "server_error", "param": None, "code": fault.code}}
            return JSONResponse(body, fault.status, headers)
        case "drop":
            return _TruncatedResponse(response, 0)
        case "truncate":
            return _TruncatedResponse(response, fault.fraction)
        case "slow":
            await asyncio.sleep(fault.seconds)
    return response


class ConnectionInScope:
    """Adds the server's connection to the ASGI scope: ASGI itself has no way to close one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        cycle = getattr(send, "__self__", None)  # uvicorn's, of which `send` is a bound method
        if cycle is not None:
            scope["sora.connection"] = cycle.transport
        await self.app(scope, receive, send)


class _TruncatedResponse(Response):
    """Sends a fraction of the body, or nothing at all, and closes the connection."""

    def __init__(self, response: Response, fraction: float) -> None:
        super().__init__(response.body, response.status_code, dict(response.headers))
        self._part = self.body[: int(len(self.body) * fraction)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._part:
            head = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            await send(head)
            await send({"type": "http.response.body", "body": self._part, "more_body": True})
        scope["sora.connection"].close()
        while (await receive())["type"] != "http.disconnect":
            pass
