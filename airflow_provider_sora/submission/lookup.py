"""Reads the server's list for a submission: once before the create is sent, and again to search for its job."""

from __future__ import annotations

from airflow_provider_sora.api.client import SoraClient
from airflow_provider_sora.api.http.pages import PAGE_LENGTH, Pages
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.api.protocol.requests import ListVideos
from airflow_provider_sora.exceptions import SoraError
from airflow_provider_sora.submission.matching import JobQuery, ListObservation, covers_new_jobs
from airflow_provider_sora.submission.record import Snapshot

MAX_PAGES = 20
_FIRST_PAGE = ListVideos(limit=PAGE_LENGTH, order="desc")


def take_snapshot(client: SoraClient) -> Snapshot | None:
    """The first page of the list as it is now, read in one request; None if it cannot be read.

    A failure blocks no submission: without a snapshot, the server's clock decides which jobs are new.
    """
    pages = Pages(_FIRST_PAGE)
    try:
        page, _ = client.exchange(_FIRST_PAGE)
    except SoraError:
        return None
    videos = list(pages.take(page))
    return Snapshot.of(videos, complete=pages.complete)


def read_list(client: SoraClient, query: JobQuery, now: float) -> ListObservation:
    """The list as far as it can hold new jobs, in at most 20 pages.

    :raises SoraError: the list cannot be read
    """
    pages = Pages(_FIRST_PAGE)
    videos: list[Video] = []
    for _ in range(MAX_PAGES):
        if pages.next is None:
            break
        videos.extend(pages.take(client.send(pages.next)))
        if covers_new_jobs(query, videos, _clock_offset(client)):
            return ListObservation(videos, covers_new_jobs=True, now=now, clock_offset_seconds=_clock_offset(client))
    return ListObservation(videos, covers_new_jobs=pages.complete, now=now, clock_offset_seconds=_clock_offset(client))


def _clock_offset(client: SoraClient) -> float | None:
    return client.clock_offset_seconds if client.knows_server_clock else None
