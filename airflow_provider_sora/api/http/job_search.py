"""Searches the list for jobs for which the server answers 404, before a paid job is given up.

A server whose database lags, or a gateway in front of several servers, answers 404 for a job that its list shows.
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

MAX_PAGES = 200  # of one search, even if the server states that more follow


class JobSearch:
    """One search of the list for some jobs, page by page: send `next`, then `take` the page or `fail`.

    Only a list that was read to its end proves that a job is absent; where a server has no list, its response to the
    job itself decides.
    """

    def __init__(self, video_ids: Iterable[str]) -> None:
        self._missing = {canonical_id(video_id) for video_id in video_ids}
        self._found: dict[str, Video] = {}
        self._pages = Pages(ListVideos(limit=PAGE_LENGTH, order="desc"))
        self._pages_left = MAX_PAGES
        self._is_complete = self._has_failed = False

    @property
    def next(self) -> ListVideos | None:
        """The page to read next; None when the search has ended."""
        continues = self._missing and self._pages_left and not self._has_failed
        return self._pages.next if continues else None

    def take(self, page: VideoPage) -> None:
        """Search a page."""
        self._pages_left -= 1
        for video in self._pages.take(page):
            job = canonical_id(video.id)
            if job in self._missing:
                self._missing.discard(job)
                self._found[job] = video
        self._is_complete = self._pages.complete

    def fail(self, error: Exception) -> None:
        """Record that a page could not be read, which ends the search."""
        self._has_failed = True
        self._is_complete = isinstance(error, SoraError) and has_no_list(error)

    def result(self, video_id: str) -> Video | Presence:
        """The outcome for a job; a found video has the requested id."""
        video = self._found.get(canonical_id(video_id))
        if video is not None:
            return video.model_copy(update={"id": video_id})
        return Presence.ABSENT if self._is_complete else Presence.UNKNOWN
