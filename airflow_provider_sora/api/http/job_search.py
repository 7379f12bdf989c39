"""Whether the list shows jobs that the server says it does not know: asked before a paid job is given up.

A server whose database lags, or a gateway with several servers behind it, answers 404 to a job that its list shows.
"""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider_sora.api.decisions.poll_failures import has_no_list
from airflow_provider_sora.api.decisions.polling import Presence
from airflow_provider_sora.api.http.pages import PAGE_LENGTH, Pages
from airflow_provider_sora.api.protocol.ids import canonical_id
from airflow_provider_sora.api.protocol.models import Video, VideoPage
from airflow_provider_sora.api.protocol.requests import ListVideos
from airflow_provider_sora.exceptions import SoraError

MAX_PAGES = 200  # of one reading, whatever a server says of more


class JobSearch:
    """One reading of the list for some jobs, page by page: send `next`, then `take` the page or `fail`.

    Only a list that was read to its end says that a job is absent; where a server has no list, its answer to the job
    itself is all there is.
    """

    def __init__(self, video_ids: Iterable[str]) -> None:
        self._missing = {canonical_id(video_id) for video_id in video_ids}
        self._found: dict[str, Video] = {}
        self._pages = Pages(ListVideos(limit=PAGE_LENGTH, order="desc"))
        self._pages_left = MAX_PAGES
        self._is_complete = self._has_failed = False

    @property
    def next(self) -> ListVideos | None:
        """The page to read next; None when the reading is over."""
        goes_on = self._missing and self._pages_left and not self._has_failed
        return self._pages.next if goes_on else None

    def take(self, page: VideoPage) -> None:
        """Take a page."""
        self._pages_left -= 1
        for video in self._pages.take(page):
            job = canonical_id(video.id)
            if job in self._missing:
                self._missing.discard(job)
                self._found[job] = video
        self._is_complete = self._pages.complete

    def fail(self, error: Exception) -> None:
        """Take that a page could not be read, which ends the reading."""
        self._has_failed = True
        self._is_complete = isinstance(error, SoraError) and has_no_list(error)

    def result(self, video_id: str) -> Video | Presence:
        """What the reading says of a job; a video has the id that it was asked for by."""
        video = self._found.get(canonical_id(video_id))
        if video is not None:
            return video.model_copy(update={"id": video_id})
        return Presence.ABSENT if self._is_complete else Presence.UNKNOWN
