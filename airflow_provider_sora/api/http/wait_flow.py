"""Waiting for one job, written once for both clients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from airflow_provider_sora.api.decisions import polling
from airflow_provider_sora.api.decisions.polling import AskList, Decision, PollAgain, Verdict, Wait
from airflow_provider_sora.api.http import flows
from airflow_provider_sora.api.http.flows import Jitter, OnChange
from airflow_provider_sora.api.http.job_search import JobSearch
from airflow_provider_sora.api.http.steps import Flow, Now, Sleep
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.api.protocol.requests import RetrieveVideo
from airflow_provider_sora.exceptions import SoraError

OnFailure: TypeAlias = Callable[[SoraError], object]

# How long a single check reads the list: a worker is held meanwhile.
LIST_SECONDS = 60.0


def wait(state: Wait, on_change: OnChange, jitter: Jitter) -> Flow[Video]:
    """Poll a job until it is a video.

    The wall clock is read once, for the deadline; all pauses and the deadline then follow the monotonic one.

    :param on_change: called each time the status differs from the poll before, and at each quarter of the progress
    :raises SoraVideoFailedError: the job ended without a video
    :raises SoraWaitError: waiting ended first
    """
    response = yield Now()
    epoch = response.at - response.monotonic
    state = polling.on_monotonic_clock(state, epoch)
    response = yield Sleep(polling.first_poll(state, response.monotonic, jitter=jitter()))
    while True:
        limit = polling.poll_limit(state, response.monotonic)
        verdict = yield from _poll(state, on_change, _ignore, limit, jitter, epoch)
        if isinstance(verdict, AskList):
            verdict = yield from _ask_list(verdict, verdict.wait.deadline, limit, jitter, epoch)
        if isinstance(verdict, polling.Done):
            return verdict.video
        if isinstance(verdict, polling.GiveUp):
            raise verdict.error
        state = verdict.wait
        response = yield Sleep(verdict.seconds)


def check(
    state: Wait, on_change: OnChange, on_failure: OnFailure, limit_seconds: float, jitter: Jitter
) -> Flow[Decision]:
    """Poll a job once, and decide as `wait` does; for those who wait by themselves, such as a sensor.

    :param state: with the failures of the checks before
    :param on_change: see `wait`
    :param on_failure: called with the error of a status check that failed
    :param limit_seconds: how long each request may take altogether
    """
    response = yield Now()
    epoch = response.at - response.monotonic
    state = polling.on_monotonic_clock(state, epoch)
    decision = yield from _poll(state, on_change, on_failure, limit_seconds, jitter, epoch)
    if isinstance(decision, AskList):
        response = yield Now()
        until = response.monotonic + LIST_SECONDS
        decision = yield from _ask_list(decision, until, limit_seconds, jitter, epoch)
    if isinstance(decision, PollAgain):  # perhaps by another process
        return replace(decision, wait=polling.on_wall_clock(decision.wait, epoch))
    return decision


def _ignore(_: SoraError) -> None:
    """A wait counts its failures."""


def _poll(
    state: Wait, on_change: OnChange, on_failure: OnFailure, limit_seconds: float, jitter: Jitter, epoch: float
) -> Flow[Verdict]:
    request = RetrieveVideo(video_id=state.video_id)
    try:
        video, response = yield from flows.exchange(request, limit_seconds)
    except SoraError as error:
        on_failure(error)
        response = yield Now()  # a failed poll may have taken until its own timeout
        return polling.on_error(state, error, response.monotonic, jitter=jitter())
    if is_worth_logging(state, video):
        on_change(video)
    return polling.on_status(
        state, video, response.monotonic, hint_seconds=response.hint_seconds, jitter=jitter(), epoch=epoch
    )


def _ask_list(asked: AskList, until: float, limit_seconds: float, jitter: Jitter, epoch: float) -> Flow[Decision]:
    search = JobSearch([asked.wait.video_id])
    response = yield Now()
    while search.next is not None and response.monotonic < until:
        try:
            page, _ = yield from flows.exchange(search.next, limit_seconds)
        except SoraError as error:
            search.fail(error)
        else:
            search.take(page)
        response = yield Now()
    found = search.result(asked.wait.video_id)
    return polling.on_list_search(asked, found, response.monotonic, jitter=jitter(), epoch=epoch)


def is_worth_logging(wait: Wait, video: Video) -> bool:
    """Whether a poll shows another status than the one before, or another quarter of the progress."""
    if wait.last_status != video.status.value:
        return True
    before = wait.last.progress if wait.last else None
    return (before is None) != (video.progress is None) or (before or 0) // 25 != (video.progress or 0) // 25
