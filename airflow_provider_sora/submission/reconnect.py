"""Reconnects to a job by its id: is it still running, or has it a video that can be downloaded?"""

from __future__ import annotations

from airflow_provider_sora.api.client import SoraClient
from airflow_provider_sora.api.decisions.poll_failures import FailureKind, failure_kind
from airflow_provider_sora.api.decisions.polling import Presence
from airflow_provider_sora.api.http.job_search import JobSearch
from airflow_provider_sora.api.protocol.models import Video, VideoStatus
from airflow_provider_sora.api.protocol.requests import RetrieveVideo
from airflow_provider_sora.exceptions import SoraConnectionError, SoraError, SoraNotFoundError
from airflow_provider_sora.submission.attempt import Attempt
from airflow_provider_sora.submission.matching import is_usable

# Replicas do not learn of a job at the same moment: the pause after each 404, in seconds.
_PAUSES = (2.0, 5.0, 0.0)


def reconnect(client: SoraClient, attempt: Attempt, video_id: str) -> Video | None:
    """The job, if it runs or has a video; None if a new job has to be submitted.

    :raises SoraError: the server's responses do not show whether the job exists
    """
    video = _retrieve_with_retries(client, attempt, video_id)
    if video is None:
        attempt.log("Video %s no longer exists on the server; submitting a new job", video_id)
        return None
    if is_usable(video, attempt.clock() + client.clock_offset_seconds):
        attempt.log("Video %s of an earlier try is %s; reconnecting to it", video_id, video.status.value)
        return video
    ended = "expired" if video.status is VideoStatus.COMPLETED else video.status.value
    attempt.log("Video %s of an earlier try has the status %s; submitting a new job", video_id, ended)
    return None


def retrieve(client: SoraClient, video_id: str) -> Video | None:
    """The job with this id; None if the API itself answers that it does not exist.

    :raises SoraError: the response does not show whether the job exists; a gateway's own 404 does not
    """
    try:
        return client.send(RetrieveVideo(video_id=video_id))
    except SoraNotFoundError as error:
        if failure_kind(error) is FailureKind.NOT_FOUND:
            return None
        raise SoraConnectionError(
            f"{error}: the server answered a routing 404 and may be misconfigured; video {video_id} may still be there"
        ) from error


def _retrieve_with_retries(client: SoraClient, attempt: Attempt, video_id: str) -> Video | None:
    """The job; None after several 404s of the API, if its list does not show the job either or there is no list."""
    for pause in _PAUSES:
        video = retrieve(client, video_id)
        if video is not None:
            return video
        attempt.sleep(pause)
    return _find_on_list(client, video_id)


def _find_on_list(client: SoraClient, video_id: str) -> Video | None:
    search = JobSearch([video_id])
    while search.next is not None:
        try:
            search.take(client.send(search.next))
        except SoraError as error:
            search.fail(error)
    found = search.result(video_id)
    if found is Presence.UNKNOWN:
        raise SoraConnectionError(
            f"the server answers 404 for video {video_id}, but its list could not be read to the end; "
            "the video may still be there"
        )
    return found if isinstance(found, Video) else None
