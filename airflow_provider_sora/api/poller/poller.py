"""Many waits, few requests: one loop polls for all who wait behind one connection.

Where many polls are due it reads the list (`list_reader`); where few are, or the list does not show them, it asks one
by one (`single_reader`). `schedule` knows when a poll is due, `tracker` what follows from it.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
import time
from collections.abc import Callable

from airflow_provider_sora.api.decisions import polling
from airflow_provider_sora.api.decisions.intervals import Durations
from airflow_provider_sora.api.decisions.polling import Wait
from airflow_provider_sora.api.http.flows import Jitter, OnChange
from airflow_provider_sora.api.poller.observer import Observer
from airflow_provider_sora.api.poller.session import Session
from airflow_provider_sora.api.poller.throttled_client import OpenClient
from airflow_provider_sora.api.poller.waiter import Waiter
from airflow_provider_sora.api.protocol.models import Video

LAST_POLL_GRACE_SECONDS = 30.0  # how long past its deadline a wait may last, for its last poll to be answered


class Poller:
    """Polls for all waits of one connection, on one event loop; begins with the first and ends with the last.

    :param open_client: reads the connection and makes a client; called again when the server refuses the key
    :param observer: notified of what happens
    :param on_end: called when no wait is left or none can be served any more; a wait that comes later begins anew
    :param wall_clock: unix seconds, read when a wait begins, for its deadline; all else follows the loop's own clock
    """

    def __init__(
        self,
        open_client: OpenClient,
        observer: Observer,
        on_end: Callable[[], None],
        *,
        wall_clock: Callable[[], float] = time.time,
        jitter: Jitter = random.random,
    ) -> None:
        self._open_client = open_client
        self._observer = observer
        self._on_end = on_end
        self._wall_clock = wall_clock
        self._clock = asyncio.get_running_loop().time
        self._jitter = jitter
        self._durations = Durations()
        self._session: Session | None = None
        self._task: asyncio.Task[None] | None = None  # kept, so that it is not collected while it runs

    async def wait(self, wait: Wait, on_change: OnChange) -> Video:
        """Poll a job until it is a video, together with all others.

        :param on_change: called as by `wait_flow.wait`, in the task that waits
        :raises SoraVideoFailedError: the job ended without a video
        :raises SoraWaitError: waiting ended first
        """
        epoch = self._wall_clock() - self._clock()
        waiter = Waiter(polling.on_monotonic_clock(wait, epoch), epoch)
        session = self._session or self._begin()
        # Whatever a poll hangs on: a wait ends.
        ends_at = max(self._clock(), waiter.wait.deadline) + LAST_POLL_GRACE_SECONDS
        overdue = asyncio.get_running_loop().call_at(ends_at, session.time_out, waiter)
        session.add(waiter)
        try:
            while True:
                await waiter.wakeup
                if waiter.take_change(on_change):
                    return waiter.result()
        finally:
            overdue.cancel()
            session.remove(waiter)

    def _begin(self) -> Session:
        session = Session(self._open_client, self._observer, self._durations, self._clock, self._jitter)
        self._session = session
        # Not in the context of the first who waits: it decides whose log a line belongs to.
        self._task = asyncio.get_running_loop().create_task(self._run(session), context=contextvars.Context())
        return session

    async def _run(self, session: Session) -> None:
        try:
            await session.run()
        finally:
            self._session = None  # from the first pause on, another wait begins anew
            self._on_end()
            await session.close()
