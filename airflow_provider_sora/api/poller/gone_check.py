"""The poller's question to the list about jobs that the server says it does not know: one reading for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from airflow_provider_sora.api.decisions.polling import AskList, Presence
from airflow_provider_sora.api.http.job_search import JobSearch
from airflow_provider_sora.api.poller.waiter import Waiter
from airflow_provider_sora.api.protocol.models import Video, VideoPage
from airflow_provider_sora.api.protocol.requests import ListVideos

ReadPage = Callable[[ListVideos], Awaitable[VideoPage]]
OnResult = Callable[[Waiter, AskList, Video | Presence], None]


class GoneCheck:
    """Collects waits whose job seems gone, reads the list for all of them together, and again for later ones.

    :param read_page: sends when the server takes requests
    :param on_result: told what the list says of each job
    """

    def __init__(self, read_page: ReadPage, on_result: OnResult) -> None:
        self._read_page = read_page
        self._on_result = on_result
        self._asked: dict[Waiter, AskList] = {}
        self._task: asyncio.Task[None] | None = None

    def add(self, waiting: Waiter, asked: AskList) -> None:
        """Ask for a job with the next reading."""
        self._asked[waiting] = asked
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    def discard(self, waiting: Waiter) -> None:
        """Ask no more for a job: its status is known, or nobody waits."""
        self._asked.pop(waiting, None)

    async def close(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while self._asked:
            asked = dict(self._asked)
            search = JobSearch(waiting.wait.video_id for waiting in asked)
            await self._read(search)
            for waiting in asked:
                if self._asked.pop(waiting, None) is not None:
                    self._on_result(waiting, asked[waiting], search.result(waiting.wait.video_id))
        self._task = None

    async def _read(self, search: JobSearch) -> None:
        while self._asked and search.next is not None:
            try:
                search.take(await self._read_page(search.next))
            except Exception as error:  # noqa: BLE001 - whatever the list does, it says nothing of the jobs
                search.fail(error)
