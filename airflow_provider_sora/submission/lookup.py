"""Reading a server's list for a submission: before a request is sent, and when its job is looked for."""

from __future__ import annotations

from airflow_provider_sora.api.client import SoraClient
from airflow_provider_sora.api.http.pages import PAGE_LENGTH, Pages
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.api.protocol.requests import ListVideos
from airflow_provider_sora.exceptions import SoraError
from airflow_provider_sora.submission.matching import Reading, Wanted, reaches
from airflow_provider_sora.submission.record import Snapshot

MAX_PAGES = 20
_FIRST = ListVideos(limit=PAGE_LENGTH, order="desc")


def take_snapshot(client: SoraClient) -> Snapshot | None:
    """The list's first page as it is now, in one request; None where it cannot be had, which stops nobody."""
    pages = Pages(_FIRST)
    try:
        page, _ = client.exchange(_FIRST)
    except SoraError:
        return None
    videos = list(pages.take(page))
    return Snapshot.of(videos, complete=pages.complete)


def read_list(client: SoraClient, wanted: Wanted, now: float) -> Reading:
    """The list as far as there can be anything new on it, in at most 20 pages.

    :raises SoraError: it cannot be read
    """
    pages = Pages(_FIRST)
    videos: list[Video] = []
    for _ in range(MAX_PAGES):
        if pages.next is None:
            break
        videos.extend(pages.take(client.send(pages.next)))
        if reaches(wanted, videos, _offset(client)):
            return Reading(videos, reaches=True, now=now, clock_offset_seconds=_offset(client))
    return Reading(videos, reaches=pages.complete, now=now, clock_offset_seconds=_offset(client))


def _offset(client: SoraClient) -> float | None:
    return client.clock_offset_seconds if client.knows_server_clock else None
