"""Each exchange with the server, written once.

The two clients are drivers of the same flows (`steps`), so sync and async cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias, TypeVar

import httpx

from airflow_provider_sora.api import decisions, negotiation
from airflow_provider_sora.api.decisions import RetryPolicy, Wait
from airflow_provider_sora.api.errors import connection_error, status_error
from airflow_provider_sora.api.models import Video, VideoPage
from airflow_provider_sora.api.requests import ListVideos, Request, RetrieveVideo
from airflow_provider_sora.api.steps import Flow, Reply, Sleep
from airflow_provider_sora.exceptions import SoraError

AnswerT = TypeVar("AnswerT")
OnChange: TypeAlias = Callable[[Video], None]
Jitter: TypeAlias = Callable[[], float]


def exchange(request: Request[AnswerT]) -> Flow[tuple[AnswerT, Reply]]:
    """Send a request once and read its answer.

    :raises SoraError: whatever became of it, in a class of its own
    """
    try:
        reply = yield from negotiation.send(request)
    except httpx.RequestError as error:
        raise connection_error(str(request), error, paid=request.paid) from error
    if reply.status_code < 300:
        return request.read(reply.body), reply
    hidden = request.read_refusal(reply.body)
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


def wait(state: Wait, on_change: OnChange, jitter: Jitter) -> Flow[Video]:
    """Look at a job until it is a video.

    :param on_change: told each time the status differs from the look before, and at each quarter of the progress
    :raises SoraVideoFailedError: the job ended without a video
    :raises SoraWaitError: waiting ended first
    """
    request = RetrieveVideo(video_id=state.video_id)
    reply = yield Sleep(0)
    reply = yield Sleep(decisions.first_look(state, reply.at, jitter=jitter()))
    while True:
        try:
            video, reply = yield from exchange(request)
        except SoraError as error:
            reply = yield Sleep(0)  # a failed look may have taken until its own timeout: ask for the time
            verdict = decisions.after_failure(state, error, reply.at, jitter=jitter())
        else:
            if worth_telling(state, video):
                on_change(video)
            verdict = decisions.after_look(state, video, reply.at, hint_seconds=reply.hint_seconds, jitter=jitter())
        if isinstance(verdict, decisions.Done):
            return verdict.video
        if isinstance(verdict, decisions.GiveUp):
            raise verdict.error
        state = verdict.wait
        reply = yield Sleep(verdict.seconds)


def worth_telling(wait: Wait, video: Video) -> bool:
    """Whether a sight shows another status than the one before, or another quarter of the progress."""
    if wait.last_status != video.status.value:
        return True
    before = wait.last.progress if wait.last else None
    return (before is None) != (video.progress is None) or (before or 0) // 25 != (video.progress or 0) // 25


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
        self._seen: set[str] = set()

    def take(self, page: VideoPage) -> Iterator[Video]:
        """The videos of a page that were not on an earlier one; sets `next` and `complete`."""
        new = [video for video in page.data if video.id not in self._seen]
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
