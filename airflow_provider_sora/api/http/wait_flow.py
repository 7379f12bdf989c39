"""Waiting for one job, written once for both clients."""

from __future__ import annotations

from airflow_provider_sora.api.decisions import polling
from airflow_provider_sora.api.decisions.polling import AskList, Decision, Verdict, Wait
from airflow_provider_sora.api.http import flows
from airflow_provider_sora.api.http.flows import Jitter, OnChange
from airflow_provider_sora.api.http.job_search import JobSearch
from airflow_provider_sora.api.http.steps import Flow, Now, Sleep
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.api.protocol.requests import RetrieveVideo
from airflow_provider_sora.api.protocol.response import Response
from airflow_provider_sora.exceptions import SoraError


def wait(state: Wait, on_change: OnChange, jitter: Jitter) -> Flow[Video]:
    """Look at a job until it is a video.

    The wall clock is read once, for the deadline; all pauses and the deadline then follow the monotonic one.

    :param on_change: told each time the status differs from the look before, and at each quarter of the progress
    :raises SoraVideoFailedError: the job ended without a video
    :raises SoraWaitError: waiting ended first
    """
    reply = yield Now()
    epoch = reply.at - reply.monotonic
    state = polling.on_monotonic_clock(state, epoch)
    reply = yield Sleep(polling.first_look(state, reply.monotonic, jitter=jitter()))
    while True:
        verdict = yield from _poll(state, reply, on_change, jitter, epoch)
        if isinstance(verdict, AskList):
            verdict = yield from _ask_list(verdict, jitter, epoch)
        if isinstance(verdict, polling.Done):
            return verdict.video
        if isinstance(verdict, polling.GiveUp):
            raise verdict.error
        state = verdict.wait
        reply = yield Sleep(verdict.seconds)


def _poll(state: Wait, before: Response, on_change: OnChange, jitter: Jitter, epoch: float) -> Flow[Verdict]:
    request = RetrieveVideo(video_id=state.video_id)
    try:
        video, reply = yield from flows.exchange(request, polling.poll_limit(state, before.monotonic))
    except SoraError as error:
        reply = yield Now()  # a failed look may have taken until its own timeout: ask for the time
        return polling.after_failure(state, error, reply.monotonic, jitter=jitter())
    if worth_telling(state, video):
        on_change(video)
    return polling.after_look(
        state, video, reply.monotonic, hint_seconds=reply.hint_seconds, jitter=jitter(), epoch=epoch
    )


def _ask_list(asked: AskList, jitter: Jitter, epoch: float) -> Flow[Decision]:
    search = JobSearch([asked.wait.video_id])
    reply = yield Now()
    while search.next is not None and reply.monotonic < asked.wait.deadline:
        try:
            page, _ = yield from flows.exchange(search.next, polling.poll_limit(asked.wait, reply.monotonic))
        except SoraError as error:
            search.fail(error)
        else:
            search.take(page)
        reply = yield Now()
    found = search.result(asked.wait.video_id)
    return polling.after_search(asked, found, reply.monotonic, jitter=jitter(), epoch=epoch)


def worth_telling(wait: Wait, video: Video) -> bool:
    """Whether a sight shows another status than the one before, or another quarter of the progress."""
    if wait.last_status != video.status.value:
        return True
    before = wait.last.progress if wait.last else None
    return (before is None) != (video.progress is None) or (before or 0) // 25 != (video.progress or 0) // 25
