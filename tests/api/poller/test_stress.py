from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import httpx
import pytest

from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.exceptions import SoraVideoFailedError
from tests.api.conftest import answer
from tests.api.job_world import Job, World
from tests.api.virtual_time import in_virtual_time

WAITS = 120
BAD_SECONDS = 900.0  # afterwards the server is well again


class Faults:
    """What goes wrong, by chance: each kind in spells that come and go."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self.world = world
        self.chance = chance
        self.over = world.clock() + BAD_SECONDS
        self.list_gone_at = world.clock() + chance.uniform(0, 2 * BAD_SECONDS)
        self.list_status = chance.choice([404, 405, 501, 500])
        self.spells: list[tuple[float, float, Callable[[], httpx.Response]]] = []
        for make in (self._storm, self._storm, self._later, self._reset, self._broken, self._garbage):
            begins = world.clock() + chance.uniform(0, BAD_SECONDS)
            self.spells.append((begins, min(self.over, begins + chance.uniform(5, 150)), make))

    def _storm(self) -> httpx.Response:
        headers = {"retry_after": str(self.chance.randint(0, 20))} if self.chance.random() < 0.5 else {}
        return answer({"error": "slow down"}, 429, **headers)

    def _later(self) -> httpx.Response:
        return answer({"error": "busy"}, 503, retry_after="5")

    def _reset(self) -> httpx.Response:
        raise self.chance.choice([httpx.ConnectError("refused"), httpx.ReadError("reset"), httpx.ReadTimeout("slow")])

    def _broken(self) -> httpx.Response:
        return answer({"error": "boom"}, self.chance.choice([500, 502, 503]))

    def _garbage(self) -> httpx.Response:
        return httpx.Response(200, text=self.chance.choice(["<html>", "", "[]", '{"data": 1}']))

    async def on_all(self, _: httpx.Request) -> httpx.Response | None:
        now = self.world.clock()
        if self.chance.random() < 0.02:
            await asyncio.sleep(self.chance.uniform(1, 30))
        for begins, ends, make in self.spells:
            if begins <= now < ends and self.chance.random() < 0.7:
                return make()
        return None

    async def on_list(self, _: httpx.Request) -> httpx.Response | None:
        if self.world.clock() >= self.list_gone_at:
            return answer({"error": "no list"}, self.list_status)
        return None


def odd_job(world: World, name: str, chance: random.Random) -> Job:
    """A job that may fail, be left out of the list, or be shown there as it was long ago."""
    outcome = chance.choices(["completed", "failed", "cancelled"], [8, 1, 1])[0]
    made = world.server.add(name, chance.uniform(1, 300), outcome=outcome, listed=chance.random() > 0.1)
    if chance.random() < 0.1:
        made.fields["progress"] = chance.choice([0, 50, 99, "nan"])
    if chance.random() < 0.05:
        made.frozen_at = made.created_at + chance.uniform(0, 100)
    return made


async def one_wait(world: World, number: int, chance: random.Random) -> str | None:
    """Wait for one job, or leave; what is wrong about how that ended."""
    await asyncio.sleep(chance.uniform(0, 600))
    made = odd_job(world, f"video_{number}", chance)
    if chance.random() < 0.5:
        await asyncio.sleep(chance.uniform(0, 60))
    waits = [world.start(made.id, timeout=20_000, interval=chance.choice([5, 30, 60]))]
    if chance.random() < 0.1:
        waits.append(world.start(made.id, timeout=20_000))
    if chance.random() < 0.2:
        await asyncio.wait(waits, timeout=chance.uniform(0, 100))
        waits[0].cancel()
    found = await asyncio.gather(*waits, return_exceptions=True)
    wrong = [one for one in found if not is_right(one, made)]
    return f"{made}: {wrong}" if wrong else None


def is_right(found: Video | BaseException, made: Job) -> bool:
    """Whether a wait ended as its job did."""
    if isinstance(found, SoraVideoFailedError):
        return found.status == made.outcome
    return isinstance(found, asyncio.CancelledError) or (isinstance(found, Video) and made.outcome == "completed")


@pytest.mark.parametrize("seed", range(30))
@in_virtual_time
async def test_whatever_goes_wrong_each_wait_ends_as_its_job_did(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    limit = chance.choice([None, None, 600])
    async with World(seed=seed, requests_per_minute=limit) as world:
        faults = Faults(world, chance)
        world.server.before_all = faults.on_all
        world.server.before_list = faults.on_list
        world.server.page_length = chance.choice([100, 100, 20, 1000])
        begun = world.clock()
        found = await asyncio.gather(*(one_wait(world, number, chance) for number in range(WAITS)))
        assert [wrong for wrong in found if wrong] == []
        assert world.clock() - begun < BAD_SECONDS + 1500
    assert world.ends >= 1


@pytest.mark.parametrize("seed", range(10))
@in_virtual_time
async def test_waits_that_come_and_go_by_one_leave_nothing_behind(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    async with World(seed=seed) as world:
        for number in range(60):
            made = world.server.add(f"video_{number}", chance.uniform(0, 10))
            task = world.start(made.id, interval=3)
            if chance.random() < 0.5:
                await asyncio.wait([task], timeout=chance.choice([0, 0.05, 0.1, 0.15, 1, 5]))
                task.cancel()
                await asyncio.sleep(chance.choice([0, 0, 0.05, 0.1]))
            else:
                assert (await task).id == made.id
    assert world.ends == len(world.clients)
