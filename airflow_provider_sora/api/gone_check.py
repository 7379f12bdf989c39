"""The poller's question to the list about jobs that the server says it does not know: one reading for all of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from airflow_provider_sora.api.decisions import AskList, Presence
from airflow_provider_sora.api.job_search import JobSearch
from airflow_provider_sora.api.models import Video, VideoPage
from airflow_provider_sora.api.requests import ListVideos
from airflow_provider_sora.api.waiting import Waiting

ReadPage = Callable[[ListVideos], Awaitable[VideoPage]]
OnResult = Callable[[Waiting, AskList, Video | Presence], None]


class GoneCheck:
    """Collects waits whose job seems gone; each `run` reads the list for all of them, and again for later ones.

    :param read_page: sends when the server takes requests
    :param on_result: told what the list says of each job
    """

    def __init__(self, read_page: ReadPage, on_result: OnResult) -> None:
        self._read_page = read_page
        self._on_result = on_result
        self._asked: dict[Waiting, AskList] = {}
        self.is_running = False

    def add(self, waiting: Waiting, asked: AskList) -> None:
        """Ask for a job with the next reading."""
        self._asked[waiting] = asked

    def discard(self, waiting: Waiting) -> None:
        """Ask no more for a job: its status is known, or nobody waits."""
        self._asked.pop(waiting, None)

    async def run(self) -> None:
        """Read the list until nothing is left to ask for."""
        self.is_running = True
        try:
            while self._asked:
                asked = dict(self._asked)
                search = JobSearch(waiting.wait.video_id for waiting in asked)
                await self._read(search)
                for waiting in asked:
                    if self._asked.pop(waiting, None) is not None:
                        self._on_result(waiting, asked[waiting], search.result(waiting.wait.video_id))
        finally:
            self.is_running = False

    async def _read(self, search: JobSearch) -> None:
        while self._asked and search.next is not None:
            try:
                search.take(await self._read_page(search.next))
            except Exception as error:  # noqa: BLE001 - whatever the list does, it says nothing of the jobs
                search.fail(error)
