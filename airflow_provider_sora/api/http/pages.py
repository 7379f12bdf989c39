"""Reads a server's list page by page."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_provider_sora.api.protocol.models import Video, VideoPage
from airflow_provider_sora.api.protocol.requests import ListVideos
from airflow_provider_sora.exceptions import SoraResponseError

PAGE_LENGTH = 100  # the API's maximum
MAX_PAGES = 1000  # even if the server states that more follow


class Pages:
    """The list, page by page; it ends at a page without a next id or without new ids, whatever the server states.

    :ivar next: the request for the next page; None at the end
    :ivar complete: whether the list was read to its end: the server stated that no page follows, and every page that it
        had announced had new videos
    """

    def __init__(self, first: ListVideos) -> None:
        self._first = first
        self.next: ListVideos | None = first
        self.complete = False
        self._announced = False
        self._count = 0
        self._seen: set[str] = set()

    def take(self, page: VideoPage) -> Iterator[Video]:
        """The videos of a page that were not on an earlier one; sets `next` and `complete`.

        :raises SoraResponseError: the list has not ended after 1000 pages
        """
        self._count += 1
        if self._count > MAX_PAGES:
            raise SoraResponseError(f"GET /videos has not ended after {MAX_PAGES} pages: its list does not end")
        unseen = {video.id: video for video in page.data if video.id not in self._seen}
        new = list(unseen.values())
        self._seen.update(video.id for video in new)
        after = page.last_id if page.states_more else next((video.id for video in reversed(page.data)), None)
        continues = (page.has_more or not self._is_last(page)) and new and after
        self.next = self._first.model_copy(update={"after": after}) if continues else None
        # An announced page without new videos: the server has lost its position in the list.
        self.complete = not page.has_more and self._is_last(page) and bool(new or not self._announced)
        self._announced = page.has_more
        return iter(new)

    def _is_last(self, page: VideoPage) -> bool:
        """Whether no page follows. Where a server does not state it (SGLang), only an empty page shows it: a page may
        have fewer videos than requested.
        """
        return page.states_more or not page.data
