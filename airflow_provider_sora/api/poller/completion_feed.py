"""Which videos have been completed since a server's list was last read."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator
from itertools import islice

from airflow_provider_sora.api.client import AsyncSoraClient
from airflow_provider_sora.api.decisions.poll_failures import FailureKind, failure_kind
from airflow_provider_sora.api.http.pages import PAGE_LENGTH, Pages
from airflow_provider_sora.api.protocol.models import Video, VideoStatus
from airflow_provider_sora.api.protocol.requests import ListVideos, RetrieveVideo
from airflow_provider_sora.exceptions import SoraNotFoundError

MAX_PAGES = 50
MAX_KNOWN = 20_000
MAX_SINGLE = 100  # jobs that are polled one by one after a reading; the others have their turn after the next


class CompletionFeed:
    """Remembers which jobs run and which have ended, as far as a server's list has shown."""

    def __init__(self) -> None:
        self._first = True
        self._running: OrderedDict[str, None] = OrderedDict()  # those whose turn it is first
        self._ended: OrderedDict[str, None] = OrderedDict()

    async def poll(self, client: AsyncSoraClient) -> AsyncIterator[Video]:
        """Read the list as far as it is new; the videos completed since the last reading, each once.

        The first reading reports none: it learns what there is. Jobs that run and are further down than what is read
        are polled one by one.

        :raises SoraError: the server does not answer; what was not reported is reported by the next call
        """
        met: set[str] = set()
        pages = Pages(ListVideos(limit=PAGE_LENGTH, order="desc"))
        for _ in range(MAX_PAGES):
            if pages.next is None:
                break
            videos = list(pages.take(await client.send(pages.next)))
            known = [video.id in self._running or video.id in self._ended for video in videos]
            met.update(video.id for video in videos)
            for video in videos:
                if self._is_newly_completed(video):
                    yield video
            if all(known):
                break
        self._first = False
        missing = (video_id for video_id in self._running if video_id not in met)
        for video_id in list(islice(missing, MAX_SINGLE)):
            try:
                video = await client.send(RetrieveVideo(video_id=video_id))
            except SoraNotFoundError as error:
                if failure_kind(error) is FailureKind.NOT_FOUND:  # and not a gateway's word
                    self._running.pop(video_id, None)
                continue
            if self._is_newly_completed(video):
                yield video

    def _is_newly_completed(self, video: Video) -> bool:
        if video.status.is_running:
            self._running[video.id] = None
            self._running.move_to_end(video.id)
            _forget_oldest(self._running)
            return False
        self._running.pop(video.id, None)
        if video.id in self._ended:
            return False
        self._ended[video.id] = None
        _forget_oldest(self._ended)
        return video.status is VideoStatus.COMPLETED and not self._first


def _forget_oldest(known: OrderedDict[str, None]) -> None:
    while len(known) > MAX_KNOWN:
        known.popitem(last=False)
