"""The question to the list about jobs that seem gone."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_sora.api.decisions.polling import AskList, Presence, Wait
from airflow_provider_sora.api.poller.gone_check import GoneCheck
from airflow_provider_sora.api.poller.waiter import Waiter
from airflow_provider_sora.api.protocol.models import VideoPage
from airflow_provider_sora.api.protocol.requests import ListVideos
from airflow_provider_sora.exceptions import SoraConnectionError, SoraNotFoundError
from tests.api.poller.rig import page, video
from tests.api.virtual_time import in_virtual_time

GONE = SoraNotFoundError("GET /videos/x", 404, "no such video")


class World:
    """A list of one page after the other, and what it says."""

    def __init__(self, *pages: VideoPage | Exception) -> None:
        self.pages = list(pages)
        self.read: list[ListVideos] = []
        self.results: list[tuple[str, Any]] = []
        self.on_read: Any = lambda: None
        self.check = GoneCheck(self._read_page, self._result)

    def ask(self, video_id: str) -> Waiter:
        waiter = Waiter(Wait(video_id, 9e9, 10.0))
        self.check.add(waiter, AskList(waiter.wait, GONE))
        return waiter

    async def _read_page(self, request: ListVideos) -> VideoPage:
        self.read.append(request)
        await asyncio.sleep(1)
        self.on_read()
        one = self.pages.pop(0) if self.pages else page()
        if isinstance(one, Exception):
            raise one
        return one

    def _result(self, waiter: Waiter, asked: AskList, found: Any) -> None:
        assert asked.wait is waiter.wait
        self.results.append((waiter.job, found if isinstance(found, Presence) else found.status.value))


@in_virtual_time
async def test_one_reading_answers_for_all() -> None:
    world = World(page(video("one"), has_more=True), page(video("two", "completed")))
    for name in ("one", "two", "three"):
        world.ask(name)
    await asyncio.sleep(10)
    assert world.results == [("one", "in_progress"), ("two", "completed"), ("three", Presence.ABSENT)]
    assert len(world.read) == 2
    assert asyncio.all_tasks() == {asyncio.current_task()}


@in_virtual_time
async def test_a_question_that_comes_while_the_list_is_read_has_a_reading_of_its_own() -> None:
    world = World()
    world.ask("one")
    await asyncio.sleep(0.5)
    world.ask("two")
    await asyncio.sleep(10)
    assert world.results == [("one", Presence.ABSENT), ("two", Presence.ABSENT)]
    assert len(world.read) == 2


@in_virtual_time
async def test_a_later_question_is_asked_after_all_were_answered() -> None:
    world = World()
    for name in ("one", "two"):
        world.ask(name)
        await asyncio.sleep(10)
    assert len(world.read) == len(world.results) == 2


def ended(world: World, waiter: Waiter) -> None:
    waiter.end(error=GONE)


def moved_on(world: World, waiter: Waiter) -> None:
    waiter.wait = replace(waiter.wait, failures=0)


def discarded(world: World, waiter: Waiter) -> None:
    world.check.discard(waiter)


@pytest.mark.parametrize("meanwhile", [ended, moved_on, discarded])
@pytest.mark.parametrize("alone", [True, False])
@in_virtual_time
async def test_nothing_is_said_of_a_job_that_became_known_meanwhile(meanwhile: Any, alone: bool) -> None:
    world = World(page(video("other"), has_more=True), page(video("another")))
    waiter = world.ask("one")
    if not alone:
        world.ask("two")
    world.on_read = lambda: meanwhile(world, waiter)
    await asyncio.sleep(10)
    assert world.results == ([] if alone else [("two", Presence.ABSENT)])
    assert len(world.read) == (1 if alone else 2)  # nobody wants to know how the list goes on


@in_virtual_time
async def test_a_list_that_cannot_be_read_says_nothing() -> None:
    world = World(SoraConnectionError("x"))
    world.ask("one")
    await asyncio.sleep(10)
    assert world.results == [("one", Presence.UNKNOWN)]


@pytest.mark.parametrize("reads", [True, False])
@in_virtual_time
async def test_closing_ends_a_reading_that_is_under_way(reads: bool) -> None:
    world = World()
    if reads:
        world.ask("one")
        await asyncio.sleep(0.5)
    await world.check.close()
    assert world.results == []
    assert asyncio.all_tasks() == {asyncio.current_task()}
