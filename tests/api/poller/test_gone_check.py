"""The question to the list about jobs that seem gone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_provider_sora.api.decisions.polling import Presence, Wait
from airflow_provider_sora.api.poller.gone_check import GoneCheck
from airflow_provider_sora.api.protocol.models import VideoPage
from airflow_provider_sora.api.protocol.requests import ListVideos
from tests.api.virtual_time import in_virtual_time


class Asked:
    """A wait, as far as it is asked for its job."""

    def __init__(self, video_id: str) -> None:
        self.wait = Wait(video_id, 9e9, 10.0, None)


asked: Any = object()  # what is to follow, which is handed on
EMPTY = VideoPage.model_validate({"data": [], "has_more": False})


@in_virtual_time
async def test_one_reading_answers_for_all_and_nothing_for_those_that_are_known_by_then() -> None:
    results: list[Any] = []
    pages: list[ListVideos] = []
    waits: list[Any] = [Asked("one"), Asked("two")]

    async def read_page(request: ListVideos) -> VideoPage:
        pages.append(request)
        check.discard(waits[0])
        return EMPTY

    check = GoneCheck(read_page, lambda waiting, _, found: results.append((waiting.wait.video_id, found)))
    for waiting in waits:
        check.add(waiting, asked)
    await asyncio.sleep(1)
    assert (results, len(pages)) == ([("two", Presence.ABSENT)], 1)
    await check.close()


@pytest.mark.parametrize("reads", [True, False])
@in_virtual_time
async def test_closing_ends_a_reading_that_is_under_way(reads: bool) -> None:
    begun = asyncio.Event()

    async def read_page(_: ListVideos) -> VideoPage:
        begun.set()
        await asyncio.Event().wait()
        return EMPTY

    check = GoneCheck(read_page, lambda *_: pytest.fail("nothing was read"))
    if reads:
        waiting: Any = Asked("one")
        check.add(waiting, asked)
        await begun.wait()
    await check.close()
