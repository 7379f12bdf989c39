"""A list, page by page: where it ends, and whether it was all of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sora.api.http.pages import MAX_PAGES, Pages
from airflow_provider_sora.api.protocol.models import VideoPage
from airflow_provider_sora.api.protocol.requests import ListVideos
from airflow_provider_sora.exceptions import SoraResponseError


def page(*ids: str, **fields: Any) -> VideoPage:
    return VideoPage.model_validate({"data": [{"id": each, "status": "queued"} for each in ids], **fields})


def read(pages: Pages, *answers: VideoPage) -> list[str]:
    """The ids, and `pages` as it is after these answers."""
    return [video.id for answer in answers for video in pages.take(answer)]


@pytest.mark.parametrize(
    ("answers", "complete"),
    [
        ([page("a", "b", has_more=False)], True),
        ([page(has_more=False)], True),
        ([page("a", has_more=True, last_id="a"), page("b", has_more=False)], True),
        ([page("a", has_more=True, last_id="a")], False),
        ([page("a", has_more=True, last_id="a"), page("a", has_more=True, last_id="a")], False),
        ([page("a", has_more=True, last_id="a"), page("a", has_more=False)], False),
        ([page("a", has_more=True)], False),
        # SGLang does not say whether there is more: an empty page is the last
        ([page("a")], False),
        ([page("a"), page()], True),
        ([page("a", "b", "c"), page("d"), page()], True),
        ([page("a", "b"), page("a", "b")], False),
    ],
)
def test_a_list_is_complete_where_its_end_was_seen(answers: list[VideoPage], complete: bool) -> None:
    pages = Pages(ListVideos(limit=3))
    read(pages, *answers)
    assert pages.complete is complete


def test_a_list_without_an_end_is_an_error_and_not_read_for_ever() -> None:
    pages = Pages(ListVideos(limit=1))
    for number in range(MAX_PAGES):
        read(pages, page(f"{number}", has_more=True, last_id=f"{number}"))
    with pytest.raises(SoraResponseError, match="has not ended after 1000 pages"):
        read(pages, page("one more", has_more=True))


def test_a_job_that_stands_on_a_page_twice_is_one() -> None:
    assert read(Pages(ListVideos()), page("a", "b", "a", has_more=False)) == ["a", "b"]


def test_the_next_page_begins_behind_the_last_job_where_the_server_names_none() -> None:
    pages = Pages(ListVideos(limit=2))
    read(pages, page("a", "b"))
    assert pages.next == ListVideos(limit=2, after="b")


@given(st.lists(st.builds(page, st.sampled_from("abc"), has_more=st.sampled_from([None, True, False])), max_size=9))
def test_every_list_ends_and_shows_each_job_once(answers: list[VideoPage]) -> None:
    pages, ids = Pages(ListVideos(limit=1)), []
    for answer in answers:
        if pages.next is None:
            break
        ids += read(pages, answer)
    assert len(ids) == len(set(ids)) <= 3
