"""Whether the list shows jobs that the server itself does not know: one reading for all of them."""

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
    :param on_result: called with what the list shows of each job
    """

    def __init__(self, read_page: ReadPage, on_result: OnResult) -> None:
        self._read_page = read_page
        self._on_result = on_result
        self._asked: dict[Waiter, AskList] = {}
        self._task: asyncio.Task[None] | None = None

    def add(self, waiter: Waiter, asked: AskList) -> None:
        """Ask for a job with the next reading."""
        self._asked[waiter] = asked
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    def discard(self, waiter: Waiter) -> None:
        """Ask no more for a waiter's job."""
        self._asked.pop(waiter, None)

    async def close(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while asked := dict(self._open()):
            search = JobSearch(waiter.wait.video_id for waiter in asked)
            while (page := search.next) is not None and self._open():
                await self._read(search, page)
            for waiter in list(self._open()):
                if waiter in asked:
                    self._on_result(waiter, self._asked.pop(waiter), search.result(waiter.wait.video_id))
        self._task = None

    def _open(self) -> dict[Waiter, AskList]:
        """The questions that are still of interest; a status that came meanwhile has answered the others."""
        self._asked = {
            waiter: asked for waiter, asked in self._asked.items() if waiter.wait is asked.wait and not waiter.ended
        }
        return self._asked

    async def _read(self, search: JobSearch, page: ListVideos) -> None:
        try:
            search.take(await self._read_page(page))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the list, it is not the jobs' failure
            search.fail(error)
