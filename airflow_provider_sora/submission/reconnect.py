"""A job whose id is remembered: whether it is still of use."""

from __future__ import annotations

from airflow_provider_sora.api.client import SoraClient
from airflow_provider_sora.api.decisions.poll_failures import FailureKind, failure_kind
from airflow_provider_sora.api.decisions.polling import Presence
from airflow_provider_sora.api.http.job_search import JobSearch
from airflow_provider_sora.api.protocol.models import Video, VideoStatus
from airflow_provider_sora.api.protocol.requests import RetrieveVideo
from airflow_provider_sora.exceptions import SoraConnectionError, SoraError, SoraNotFoundError
from airflow_provider_sora.submission.attempt import Attempt
from airflow_provider_sora.submission.matching import is_of_use

# Replicas do not learn of a job at the same moment: pauses between asking again after a 404, in seconds.
_PAUSES = (2.0, 5.0, 0.0)


def reconnect(client: SoraClient, attempt: Attempt, video_id: str) -> Video | None:
    """The job, while it runs or its video can be had; None where a new one has to be submitted.

    :raises SoraError: the server does not tell
    """
    video = _retrieve_patiently(client, attempt, video_id)
    if video is None:
        attempt.log("Video %s no longer exists on the server: submitting a new job", video_id)
        return None
    if is_of_use(video, attempt.clock() + client.clock_offset_seconds):
        attempt.log("Video %s of an earlier try is %s: reconnecting to it", video_id, video.status.value)
        return video
    ended = "expired" if video.status is VideoStatus.COMPLETED else video.status.value
    attempt.log("Video %s of an earlier try has %s: submitting a new job", video_id, ended)
    return None


def retrieve(client: SoraClient, video_id: str) -> Video | None:
    """A remembered job; None where the API itself says that it does not know it.

    :raises SoraError: the server does not tell; a gateway's own 404 says nothing of the job
    """
    try:
        return client.send(RetrieveVideo(video_id=video_id))
    except SoraNotFoundError as error:
        if failure_kind(error) is FailureKind.NOT_FOUND:
            return None
        raise SoraConnectionError(
            f"{error}: the server answered a routing 404 and may be misconfigured; video {video_id} may still be there"
        ) from error


def _retrieve_patiently(client: SoraClient, attempt: Attempt, video_id: str) -> Video | None:
    """The job; None once the server has said several times that it is gone, and its list agrees, or it has none."""
    for pause in _PAUSES:
        video = retrieve(client, video_id)
        if video is not None:
            return video
        attempt.sleep(pause)
    return _on_the_list(client, video_id)


def _on_the_list(client: SoraClient, video_id: str) -> Video | None:
    search = JobSearch([video_id])
    while search.next is not None:
        try:
            search.take(client.send(search.next))
        except SoraError as error:
            search.fail(error)
    found = search.result(video_id)
    if found is Presence.UNKNOWN:
        raise SoraConnectionError(
            f"the server says that it does not know video {video_id}, and its list does not tell: it may still be there"
        )
    return found if isinstance(found, Video) else None
