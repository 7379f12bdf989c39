from __future__ import annotations

import pytest

from airflow_provider_sora.api.decisions.polling import Presence
from airflow_provider_sora.api.http.job_search import MAX_PAGES, JobSearch
from airflow_provider_sora.api.protocol.error_mapping import status_error
from airflow_provider_sora.api.protocol.models import Video, VideoPage
from airflow_provider_sora.api.protocol.requests import ListVideos
from airflow_provider_sora.api.protocol.response import Response
from airflow_provider_sora.exceptions import SoraConnectionError
from tests.api.conftest import job, litellm_id
from tests.api.job_world import page_of


def page(*ids: str, has_more: bool = False) -> VideoPage:
    return VideoPage.model_validate(page_of([job("in_progress", one) for one in ids], has_more=has_more))


def refused(code: int, body: bytes) -> Exception:
    return status_error(ListVideos(), Response(0, code, {}, body))


def test_a_job_on_a_later_page_is_found_and_no_further_page_is_read() -> None:
    search = JobSearch(["video_1"])
    asked = [search.next]
    for video_id in ("a", "video_1"):
        search.take(page(video_id, has_more=True))
        asked.append(search.next)
    first = ListVideos(limit=100, order="desc")
    assert asked == [first, first.model_copy(update={"after": "a"}), None]
    found = search.result("video_1")
    assert isinstance(found, Video)
    assert found.status.is_running


def test_a_list_that_shows_the_job_by_another_id_of_the_proxy_shows_the_job() -> None:
    search = JobSearch([litellm_id("job-1", "alias")])
    search.take(page("job-1"))
    found = search.result(litellm_id("job-1", "alias"))
    assert isinstance(found, Video)
    assert found.id == litellm_id("job-1", "alias")


@pytest.mark.parametrize("ids", [[], ["a", "b"]])
def test_a_list_read_to_its_end_says_that_a_job_is_absent(ids: list[str]) -> None:
    search = JobSearch(["video_1"])
    search.take(page(*ids))
    assert search.result("video_1") is Presence.ABSENT


def test_a_page_of_a_server_that_does_not_say_whether_more_follows_is_not_the_end() -> None:
    """SGLang does not: only an empty page is."""
    search = JobSearch(["video_9"])
    search.take(VideoPage.model_validate({"data": [{"id": "video_1", "status": "queued"}]}))
    assert (search.next is None, search.result("video_9")) == (False, Presence.UNKNOWN)
    search.take(VideoPage.model_validate({"data": []}))
    assert (search.next, search.result("video_9")) == (None, Presence.ABSENT)


def test_a_list_that_claims_more_and_shows_nothing_new_says_nothing() -> None:
    search = JobSearch(["video_1"])
    for _ in range(2):
        search.take(page("a", has_more=True))
    assert search.next is None
    assert search.result("video_1") is Presence.UNKNOWN


def test_a_list_of_ever_new_ids_is_left_after_a_stated_number_of_pages() -> None:
    search, pages = JobSearch(["video_1"]), 0
    while search.next is not None:
        search.take(page(f"other_{pages}", has_more=True))
        pages += 1
    assert pages == MAX_PAGES == 200
    assert search.result("video_1") is Presence.UNKNOWN


@pytest.mark.parametrize(
    ("error", "presence"),
    [
        (refused(404, b'{"detail": "Not Found"}'), Presence.ABSENT),
        (refused(405, b'{"detail": "Method Not Allowed"}'), Presence.ABSENT),
        (refused(400, b'{"error": {"message": "custom_llm_provider is required"}}'), Presence.ABSENT),
        (refused(404, b"default backend - 404"), Presence.UNKNOWN),
        (refused(405, b"<html>"), Presence.UNKNOWN),
        (refused(401, b'{"detail": "key"}'), Presence.UNKNOWN),
        (refused(500, b'{"detail": "boom"}'), Presence.UNKNOWN),
        (refused(429, b'{"detail": "slow"}'), Presence.UNKNOWN),
        (SoraConnectionError("refused"), Presence.UNKNOWN),
        (RecursionError(), Presence.UNKNOWN),
    ],
)
def test_a_server_without_a_list_is_told_from_a_list_that_cannot_be_read(error: Exception, presence: Presence) -> None:
    search = JobSearch(["video_1"])
    search.fail(error)
    assert search.next is None
    assert search.result("video_1") is presence
