"""A client that sends when the server takes requests, and with a new key once the connection has one."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import TypeVar

from airflow_provider_sora import masking
from airflow_provider_sora.api.client import AsyncSoraClient
from airflow_provider_sora.api.decisions.poll_failures import is_throttled
from airflow_provider_sora.api.poller.observer import Observer, notify
from airflow_provider_sora.api.poller.rate_limit import RateLimit
from airflow_provider_sora.api.protocol.requests import Request
from airflow_provider_sora.api.protocol.response import Response
from airflow_provider_sora.exceptions import (
    SoraAuthError,
    SoraConnectionError,
    SoraError,
    SoraStatusError,
)

ResponseT = TypeVar("ResponseT")
OpenClient = Callable[[], Awaitable[AsyncSoraClient]]

log = masking.logger(__name__)

RENEW_SECONDS = 5.0  # between two readings of the connection after refused keys
_CLIENTS_KEPT = 3  # the newest, and those before it that may still have requests on their way


class ThrottledClient:
    """Sends when the limits allow it, and with a new key once the connection has one.

    :param clock: a monotonic one
    :param on_renewed: called when the connection has changed
    """

    def __init__(
        self, open_client: OpenClient, observer: Observer, clock: Callable[[], float], on_renewed: Callable[[], None]
    ) -> None:
        self.limit = RateLimit()
        self._open_client = open_client
        self._observer = observer
        self._clock = clock
        self._on_renewed = on_renewed
        self._clients: list[AsyncSoraClient] = []
        self._renewing = asyncio.Lock()
        self._renewed_at = -math.inf

    @property
    def clock_offset_seconds(self) -> float:
        """How far the server's clock is ahead of ours."""
        return self._clients[-1].clock_offset_seconds

    @property
    def is_blocked(self) -> bool:
        """Whether the server takes no requests now."""
        return self.limit.blocks(self._clock())

    async def open(self) -> None:
        """Read the connection."""
        self._use(await self._open_client())

    async def close(self) -> None:
        """Close the connections."""
        for client in self._clients:
            await client.close()

    async def send(
        self, kind: str, request: Request[ResponseT], timeout_seconds: float | None = None
    ) -> tuple[ResponseT, Response]:
        """Send once, when the limits allow it; again at once where only the key was refused and there is a new one.

        :raises SoraError: what became of it instead
        """
        await self._turn()
        client = self._clients[-1]
        notify(self._observer.requested, kind)
        try:
            answer = await _exchange(client, request, timeout_seconds)
        except SoraError as error:
            notify(self._observer.failed, error)
            if is_throttled(error):
                asked = error.retry_after_seconds if isinstance(error, SoraStatusError) else None
                self.limit.refused(self._clock(), asked)
            if isinstance(error, SoraAuthError) and await self._renew(client):
                return await self.send(kind, request, timeout_seconds)
            raise
        self.limit.answered()
        return answer

    async def _turn(self) -> None:
        """Sleep until the limits allow a request."""
        while (pause := self.limit.reserve(self._clock())) > 0:
            await asyncio.sleep(pause)
            if not self.is_blocked:
                return

    async def _renew(self, refused: AsyncSoraClient) -> bool:
        """Whether there is another connection than the one whose key was refused; it is read again for that."""
        async with self._renewing:  # many are refused together
            if self._clients[-1] is not refused:
                return True
            if self._clock() - self._renewed_at < RENEW_SECONDS:
                return False
            self._renewed_at = self._clock()
            try:
                client = await self._open_client()
            except Exception:
                log.exception("The connection could not be read again after its key was refused")
                return False
            if client.config == refused.config:
                await client.close()
                return False
            self._use(client)
            self._on_renewed()
            if len(self._clients) > _CLIENTS_KEPT:
                await self._clients.pop(0).close()
            return True

    def _use(self, client: AsyncSoraClient) -> None:
        self._clients.append(client)
        self.limit.pace(client.config.requests_per_minute)


async def _exchange(
    client: AsyncSoraClient, request: Request[ResponseT], timeout_seconds: float | None
) -> tuple[ResponseT, Response]:
    try:
        async with asyncio.timeout(timeout_seconds):
            return await client.exchange(request)
    except TimeoutError:
        raise SoraConnectionError(f"{request} got no response within {timeout_seconds} s") from None
