"""Each exchange with the server, written once.

The two clients are drivers of the same flows (`steps`), so sync and async cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias, TypeVar

import httpx

from airflow_provider_sora.api import decisions
from airflow_provider_sora.api.decisions import RetryPolicy
from airflow_provider_sora.api.errors import connection_error, status_error
from airflow_provider_sora.api.models import Video, VideoPage
from airflow_provider_sora.api.requests import ListVideos, Request
from airflow_provider_sora.api.steps import Flow, Reply, Send, Sleep
from airflow_provider_sora.exceptions import SoraError

AnswerT = TypeVar("AnswerT")
OnChange: TypeAlias = Callable[[Video], None]
Jitter: TypeAlias = Callable[[], float]


def exchange(request: Request[AnswerT], limit_seconds: float | None = None) -> Flow[tuple[AnswerT, Reply]]:
    """Send a request once and read its answer.

    :param limit_seconds: how long that may take altogether; None: what the connection allows
    :raises SoraError: whatever became of it, in a class of its own
    """
    try:
        reply = yield Send(request, limit_seconds)
    except httpx.RequestError as error:
        raise connection_error(str(request), error, paid=request.paid) from error
    if reply.status_code < 300:
        return request.read(reply.body), reply
    hidden = request.read_refusal(reply.body, reply.status_code)
    if hidden is not None:
        return hidden, reply
    raise status_error(request, reply)


def call(request: Request[AnswerT], policy: RetryPolicy, jitter: Jitter) -> Flow[AnswerT]:
    """Send a request, again where that is safe (`decisions.retry_pause`)."""
    attempt = 0
    while True:
        attempt += 1
        try:
            answer, _ = yield from exchange(request)
        except SoraError as error:
            pause = decisions.retry_pause(policy, error, attempt, paid=request.paid, jitter=jitter())
            if pause is None:
                raise
        else:
            return answer
        yield Sleep(pause)


class Pages:
    """The list, page by page, ended by whatever a server does: no next id, an id again, a page without new ids."""

    def __init__(self, first: ListVideos) -> None:
        self._first = first
        self.next: ListVideos | None = first
        self._seen: set[str] = set()

    def take(self, page: VideoPage) -> Iterator[Video]:
        """The videos of a page that were not on an earlier one; sets `next`."""
        new = [video for video in page.data if video.id not in self._seen]
        self._seen.update(video.id for video in new)
        goes_on = page.has_more and new and page.last_id
        self.next = self._first.model_copy(update={"after": page.last_id}) if goes_on else None
        return iter(new)
