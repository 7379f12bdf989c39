from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from airflow_provider_sora.api.client import AsyncSoraClient
from airflow_provider_sora.api.decisions.polling import Wait
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.emulator import Emulator, Fault
from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.hooks.sora import SoraHook
from airflow_provider_sora.triggers import shared_pollers
from airflow_provider_sora.triggers.shared_pollers import poller_for

FAR = 10_000_000_000.0


class Stats:
    """What Airflow's metrics were told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, Any, dict[str, str]]] = []

    def gauge(self, name: str, value: float, *, tags: dict[str, str]) -> None:
        self.told.append(("gauge", name, value, tags))

    def incr(self, name: str, *, tags: dict[str, str]) -> None:
        self.told.append(("incr", name, 1, tags))

    def timing(self, name: str, value: float, *, tags: dict[str, str]) -> None:
        self.told.append(("timing", name, value, tags))

    def of(self, name: str) -> list[tuple[Any, dict[str, str]]]:
        """Values and tags of one."""
        return [(value, tags) for _, told, value, tags in self.told if told == name]


@pytest.fixture
def stats(monkeypatch: pytest.MonkeyPatch) -> Stats:
    stats = Stats()
    monkeypatch.setattr(shared_pollers, "Stats", stats)
    return stats


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The connections that were looked up."""
    opened: list[str] = []
    original = SoraHook.get_async_conn

    async def counting(hook: SoraHook) -> AsyncSoraClient:
        opened.append(hook.sora_conn_id)
        return await original(hook)

    monkeypatch.setattr(SoraHook, "get_async_conn", counting)
    return opened


def submit(count: int) -> list[str]:
    with SoraHook() as hook:
        return [hook.create_video("a cat").id for _ in range(count)]


async def wait(video_id: str, conn_id: str = "sora_default") -> Video:
    return await poller_for(conn_id).wait(Wait(video_id, FAR, 0.05), lambda _: None)


async def all_of(ids: list[str]) -> list[Video]:
    return await asyncio.gather(*(wait(video_id) for video_id in ids))


def test_many_waits_share_a_poller_and_one_look_at_the_connection(sora_emulator: Emulator, opened: list[str]) -> None:
    ids = submit(20)
    sora_emulator.clock.advance(60)
    assert [video.id for video in asyncio.run(all_of(ids))] == ids
    assert opened == ["sora_default"]


def test_there_is_one_poller_for_each_connection_as_long_as_somebody_waits(
    sora_emulator: Emulator, monkeypatch: pytest.MonkeyPatch, opened: list[str]
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", sora_emulator.connection())
    ids = submit(2)
    sora_emulator.clock.advance(60)

    async def use() -> None:
        waits = [asyncio.create_task(wait(ids[0])), asyncio.create_task(wait(ids[1], "other"))]
        await asyncio.sleep(0)
        first, other = poller_for("sora_default"), poller_for("other")
        assert first is not other
        assert poller_for("sora_default") is first
        await asyncio.gather(*waits)
        while pollers := shared_pollers._pollers[asyncio.get_running_loop()]:
            assert pollers.keys() <= {"sora_default", "other"}
            await asyncio.sleep(0)
        assert poller_for("sora_default") is not first

    asyncio.run(use())
    assert sorted(opened) == ["other", "sora_default"]


def test_two_loops_do_not_share(sora_emulator: Emulator, opened: list[str]) -> None:
    ids = submit(2)
    sora_emulator.clock.advance(60)

    async def one_in_another_loop() -> list[Video]:
        return [await wait(ids[0]), await asyncio.to_thread(asyncio.run, wait(ids[1]))]

    assert [video.id for video in asyncio.run(one_in_another_loop())] == ids
    assert opened == ["sora_default", "sora_default"]


def test_a_poller_that_ends_late_leaves_its_successor_alone(sora_emulator: Emulator) -> None:
    async def use() -> None:
        first = poller_for("sora_default")
        first._on_end()
        second = poller_for("sora_default")
        first._on_end()
        assert second is not first
        assert poller_for("sora_default") is second

    asyncio.run(use())


def test_a_connection_that_is_wrong_is_everybodys_error_and_looked_up_anew_for_the_next(
    sora_emulator: Emulator, monkeypatch: pytest.MonkeyPatch, opened: list[str]
) -> None:
    [video_id] = submit(1)
    sora_emulator.clock.advance(60)

    async def use() -> Video:
        monkeypatch.setenv("AIRFLOW_CONN_LATER", json.dumps({"conn_type": "sora"}))
        found = await asyncio.gather(wait("video_1", "later"), wait("video_2", "later"), return_exceptions=True)
        assert [type(error) for error in found] == [SoraConfigError] * 2
        monkeypatch.setenv("AIRFLOW_CONN_LATER", sora_emulator.connection())
        return await wait(video_id, "later")

    assert asyncio.run(use()).id == video_id
    assert opened == ["later", "later"]


def test_what_a_poller_does_is_shown_in_metrics(sora_emulator: Emulator, stats: Stats) -> None:
    [video_id] = submit(1)
    sora_emulator.faults.add(Fault("retrieve", "status"))

    async def use() -> None:
        waiting = asyncio.create_task(wait(video_id))
        while len(stats.of("sora.requests")) < 3:
            await asyncio.sleep(0)
        sora_emulator.clock.advance(60)
        await waiting
        while shared_pollers._pollers[asyncio.get_running_loop()]:
            await asyncio.sleep(0)

    asyncio.run(use())
    tags = {"conn_id": "sora_default"}
    gauges = stats.of("sora.waiting")
    assert (gauges[0], gauges[-1]) == ((1, tags), (0, tags))
    assert (1, {**tags, "kind": "retrieve"}) in stats.of("sora.requests")
    assert stats.of("sora.errors") == [(1, {**tags, "error": "SoraServerError"})]
    [(delay, of)] = stats.of("sora.detection_delay")
    assert of == tags
    assert delay >= 0


def test_a_delay_is_shown_in_milliseconds(stats: Stats) -> None:
    shared_pollers.Metrics("c").detected(1.5)
    assert stats.told == [("timing", "sora.detection_delay", 1500.0, {"conn_id": "c"})]
