from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from airflow_provider_sora.api.client import AsyncSoraClient
from airflow_provider_sora.api.decisions.retry import RequestRetryPolicy
from airflow_provider_sora.api.poller import completion_feed
from airflow_provider_sora.api.poller.completion_feed import CompletionFeed
from airflow_provider_sora.exceptions import SoraServerError
from tests.api.conftest import CONFIG, job


class Shelf:
    """A server's jobs, newest last; it lists them newest first, in pages of three."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.broken = False
        self.is_hidden = False

    def not_found(self) -> httpx.Response:
        return httpx.Response(404, json={"detail": "Video not found"})

    def set(self, video_id: str, status: str) -> None:
        self.jobs[video_id] = job(status, video_id)

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path.rpartition("/")[2])
        if self.broken:
            return httpx.Response(500)
        if not request.url.path.endswith("/videos"):
            found = self.jobs.get(self.asked[-1])
            if found is None:
                return httpx.Response(404, text="default backend - 404") if self.is_hidden else self.not_found()
            return httpx.Response(200, json=found)
        newest = list(reversed(self.jobs.values()))
        after = request.url.params.get("after")
        begin = next((place + 1 for place, item in enumerate(newest) if item["id"] == after), 0)
        page = newest[begin : begin + 3]
        more = begin + 3 < len(newest)
        return httpx.Response(200, json={"data": page, "has_more": more, "last_id": page[-1]["id"] if page else None})


def looks(shelf: Shelf, *changes: dict[str, str | None]) -> list[list[str]]:
    """What each look tells of: the first at what is there, each further one after some changes."""
    found = CompletionFeed()

    async def look() -> list[str]:
        transport = httpx.MockTransport(shelf.handle)
        async with AsyncSoraClient(CONFIG, RequestRetryPolicy(attempts=1), transport=transport) as client:
            return [video.id async for video in found.poll(client)]

    told = [asyncio.run(look())]
    for change in changes:
        for video_id, status in change.items():
            if status is None:
                del shelf.jobs[video_id]
            else:
                shelf.set(video_id, status)
        told.append(asyncio.run(look()))
    return told


def test_each_completion_is_told_of_once_and_what_was_there_is_not() -> None:
    shelf = Shelf()
    shelf.set("old", "completed")
    shelf.set("running", "in_progress")
    told = looks(shelf, {"new": "queued"}, {"running": "completed"}, {"new": "completed", "quick": "completed"}, {})
    assert told == [[], [], ["running"], ["quick", "new"], []]


def test_a_job_that_fails_is_not_told_of() -> None:
    shelf = Shelf()
    shelf.set("a", "queued")
    assert looks(shelf, {"a": "failed"}, {}) == [[], [], []]


def test_only_the_new_part_of_the_list_is_read_and_what_runs_further_down_is_asked_for() -> None:
    shelf = Shelf()
    shelf.set("slow", "in_progress")
    for number in range(30):
        shelf.set(f"old{number}", "completed")
    assert looks(shelf)[0] == []
    shelf.asked.clear()
    found = looks(shelf, {"new": "completed"}, {"slow": "completed"}, {})
    assert found[1:] == [["new"], ["slow"], []]
    assert shelf.asked[11:] == ["videos", "videos", "slow", "videos", "slow", "videos"]


def test_a_job_that_was_deleted_is_forgotten() -> None:
    shelf = Shelf()
    shelf.set("gone", "in_progress")
    for number in range(9):
        shelf.set(f"old{number}", "completed")
    assert looks(shelf, {"gone": None}, {}) == [[], [], []]
    assert shelf.asked.count("gone") == 1


def test_a_look_that_fails_loses_nothing() -> None:
    shelf = Shelf()
    shelf.set("a", "queued")
    found = CompletionFeed()

    async def look() -> list[str]:
        transport = httpx.MockTransport(shelf.handle)
        async with AsyncSoraClient(CONFIG, RequestRetryPolicy(attempts=1), transport=transport) as client:
            return [video.id async for video in found.poll(client)]

    assert asyncio.run(look()) == []
    shelf.set("a", "completed")
    shelf.broken = True
    with pytest.raises(SoraServerError):
        asyncio.run(look())
    shelf.broken = False
    assert asyncio.run(look()) == ["a"]


def test_memory_and_requests_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion_feed, "MAX_PAGES", 2)
    monkeypatch.setattr(completion_feed, "MAX_KNOWN", 4)
    shelf = Shelf()
    for number in range(30):
        shelf.set(f"old{number}", "completed")
    found = CompletionFeed()

    async def look() -> None:
        async with AsyncSoraClient(CONFIG, transport=httpx.MockTransport(shelf.handle)) as client:
            assert [video async for video in found.poll(client)] == []

    asyncio.run(look())
    assert len(shelf.asked) == 2
    assert len(found._ended) == 4


def test_a_job_that_a_gateway_hides_for_a_while_is_not_forgotten() -> None:
    shelf = Shelf()
    shelf.set("slow", "in_progress")
    for number in range(9):
        shelf.set(f"old{number}", "completed")
    found = CompletionFeed()

    async def look() -> list[str]:
        async with AsyncSoraClient(CONFIG, transport=httpx.MockTransport(shelf.handle)) as client:
            return [video.id async for video in found.poll(client)]

    assert asyncio.run(look()) == []
    slow = shelf.jobs.pop("slow")
    shelf.is_hidden = True
    assert asyncio.run(look()) == []
    shelf.jobs = {"slow": slow | {"status": "completed"}, **shelf.jobs}
    assert asyncio.run(look()) == ["slow"]


def test_jobs_that_never_end_take_no_endless_memory_and_have_their_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion_feed, "MAX_PAGES", 1)
    monkeypatch.setattr(completion_feed, "MAX_KNOWN", 6)
    monkeypatch.setattr(completion_feed, "MAX_SINGLE", 2)
    shelf = Shelf()
    found = CompletionFeed()
    rounds: list[list[str]] = []

    async def look() -> None:
        async with AsyncSoraClient(CONFIG, transport=httpx.MockTransport(shelf.handle)) as client:
            assert [video async for video in found.poll(client)] == []

    for number in range(5):
        for name in "abc":
            shelf.set(f"{name}{number}", "in_progress")
        shelf.asked.clear()
        asyncio.run(look())
        rounds.append(shelf.asked[1:])
        assert len(found._running) <= 6
    assert all(len(asked) <= 2 for asked in rounds)
    assert len({job for asked in rounds for job in asked}) > 2
