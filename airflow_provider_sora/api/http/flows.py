"""Each exchange with the server, written once.

The two clients are drivers of the same flows (`steps`), so sync and async cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias, TypeVar

import httpx

from airflow_provider_sora.api.decisions import polling
from airflow_provider_sora.api.decisions.polling import RetryPolicy
from airflow_provider_sora.api.http import negotiation
from airflow_provider_sora.api.http.steps import Flow, Reply, Sleep
from airflow_provider_sora.api.protocol.error_mapping import connection_error, status_error
from airflow_provider_sora.api.protocol.models import Video, VideoPage
from airflow_provider_sora.api.protocol.requests import ListVideos, Request
from airflow_provider_sora.exceptions import SoraAnswerError, SoraError

AnswerT = TypeVar("AnswerT")
OnChange: TypeAlias = Callable[[Video], None]
Jitter: TypeAlias = Callable[[], float]


def exchange(request: Request[AnswerT], limit_seconds: float | None = None) -> Flow[tuple[AnswerT, Reply]]:
    """Send a request once and read its answer.

    :param limit_seconds: how long that may take altogether; None: what the connection allows
    :raises SoraError: whatever became of it, in a class of its own
    """
    try:
        reply = yield from negotiation.send(request, limit_seconds)
    except httpx.RequestError as error:
        raise connection_error(str(request), error, paid=request.paid) from error
    if reply.status_code < 300:
        return request.read(reply.body), reply
    hidden = request.read_refusal(reply.body, reply.status_code)
    if hidden is not None:
        return hidden, reply
    raise status_error(request, reply)


def call(
    request: Request[AnswerT], policy: RetryPolicy, jitter: Jitter, before_each: Callable[[], object] = tuple
) -> Flow[AnswerT]:
    """Send a request, again where that is safe (`decisions.retry_pause`).

    :param before_each: called each time before it is sent; what it raises ends the call
    """
    attempt = 0
    while True:
        attempt += 1
        before_each()
        try:
            answer, _ = yield from exchange(request)
        except SoraError as error:
            pause = polling.retry_pause(policy, error, attempt, paid=request.paid, jitter=jitter())
            if pause is None:
                raise
        else:
            return answer
        yield Sleep(pause)


# Of up to 100 videos each.
MAX_PAGES = 1000


class Pages:
    """The list, page by page, ended by whatever a server does: no next id, an id again, a page without new ids.

    :ivar next: the request for the next page; None at the end
    :ivar complete: whether the list was read to its end, by all that can be told: the server said that no more
        follows, and every page that it had announced brought something new
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

        :raises SoraAnswerError: the list has not ended after 1000 pages
        """
        self._count += 1
        if self._count > MAX_PAGES:
            raise SoraAnswerError(f"GET /videos has not ended after {MAX_PAGES} pages: this server's list has no end")
        unseen = {video.id: video for video in page.data if video.id not in self._seen}
        new = list(unseen.values())
        self._seen.update(video.id for video in new)
        after = page.last_id if page.says_more else next((video.id for video in reversed(page.data)), None)
        goes_on = (page.has_more or not self._is_last(page)) and new and after
        self.next = self._first.model_copy(update={"after": after}) if goes_on else None
        # A page that was announced and brings nothing new: the server lost its place in the list.
        self.complete = not page.has_more and self._is_last(page) and bool(new or not self._announced)
        self._announced = page.has_more
        return iter(new)

    def _is_last(self, page: VideoPage) -> bool:
        """Whether nothing follows. Where a server does not say (SGLang), only an empty page shows it: it may hold fewer
        on a page than it was asked for.
        """
        return page.says_more or not page.data
