"""One poller for each connection that is waited for, on each event loop of the process."""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary

from airflow_provider_sora.api.poller.poller import Poller
from airflow_provider_sora.compat import Stats
from airflow_provider_sora.exceptions import SoraError
from airflow_provider_sora.hooks.sora import SoraHook

_pollers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Poller]] = WeakKeyDictionary()


def poller_for(conn_id: str) -> Poller:
    """The running event loop's poller for a connection; it is there as long as somebody waits."""
    pollers = _pollers.setdefault(asyncio.get_running_loop(), {})
    if conn_id not in pollers:

        def ended() -> None:
            if pollers.get(conn_id) is poller:
                del pollers[conn_id]

        poller = Poller(SoraHook(conn_id).get_async_conn, Metrics(conn_id), ended)
        pollers[conn_id] = poller
    return pollers[conn_id]


class Metrics:
    """A poller's figures, through Airflow's own metrics; each has the tag ``conn_id``."""

    def __init__(self, conn_id: str) -> None:
        self._tags = {"conn_id": conn_id}

    def waiting(self, count: int) -> None:
        """Waits that are registered: gauge ``sora.waiting``."""
        Stats.gauge("sora.waiting", count, tags=self._tags)

    def requested(self, kind: str) -> None:
        """Requests: counter ``sora.requests``, with the tag ``kind`` (``list`` or ``retrieve``)."""
        Stats.incr("sora.requests", tags={**self._tags, "kind": kind})

    def detected(self, delay_seconds: float) -> None:
        """From a job's end until it was noticed: timer ``sora.detection_delay``, in milliseconds."""
        Stats.timing("sora.detection_delay", delay_seconds * 1000, tags=self._tags)

    def failed(self, error: SoraError) -> None:
        """Requests that brought an error: counter ``sora.errors``, with the tag ``error`` (its class)."""
        Stats.incr("sora.errors", tags={**self._tags, "error": type(error).__name__})
