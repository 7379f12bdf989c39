from __future__ import annotations

import asyncio
import random
from itertools import count

import httpx
import pytest

from tests.api.conftest import answer, job
from tests.api.job_world import World, always, outcomes, page_of
from tests.api.virtual_time import in_virtual_time


@in_virtual_time
async def test_a_thousand_waits_cost_about_a_request_a_second_and_each_ends() -> None:
    async with World() as world:
        begun = world.clock()
        tasks = world.start_many(1000, lambda i: 100 + i % 100)
        assert set(await outcomes(tasks)) == {"completed"}
        took = world.clock() - begun
        assert took < 230
        assert len(world.server.asked) < 2.5 * took
        assert world.server.count("list") > world.server.count("retrieve")
        assert sum(world.observer.delays) / 1000 < 11


@in_virtual_time
async def test_as_few_are_left_they_are_asked_for_one_by_one() -> None:
    async with World() as world:
        tasks = world.start_many(300, lambda i: 3000 if i == 0 else 60)
        await asyncio.sleep(200)
        begun = world.clock()
        assert set(await outcomes(tasks)) == {"completed"}
        assert world.server.count("list", begun) == 0
        assert world.server.count("retrieve", begun) > 100


@pytest.mark.parametrize("status", [404, 405, 501, 403])
@in_virtual_time
async def test_a_list_that_is_refused_is_tried_again_after_ten_minutes_only(status: int) -> None:
    async with World() as world:
        world.server.before_list = always(status)
        tasks = world.start_many(30, lambda _: 1000)
        await asyncio.sleep(590)
        assert world.server.count("list") == 1
        world.server.before_list = None
        begun = world.clock() + 30
        assert set(await outcomes(tasks)) == {"completed"}
        assert world.server.count("list", begun) > 20
        assert world.server.count("retrieve", begun) < 200


@in_virtual_time
async def test_a_list_that_shows_nothing_is_no_matter() -> None:
    async with World() as world:
        world.server.before_list = always(payload=page_of([]))
        tasks = world.start_many(100, lambda _: 100)
        assert set(await outcomes(tasks)) == {"completed"}
        assert world.server.count("list") == 1


@in_virtual_time
async def test_a_list_without_end_is_left_after_a_few_pages() -> None:
    async with World() as world:
        numbers = count()

        async def endless(_: httpx.Request) -> httpx.Response:
            data = [job("completed", f"other_{next(numbers)}") for _ in range(100)]
            return answer(page_of(data, has_more=True))

        world.server.before_list = endless
        tasks = world.start_many(250, lambda _: 100)
        assert set(await outcomes(tasks)) == {"completed"}
        assert world.server.count("list") == 9


@pytest.mark.parametrize("cursor", ["the same page", "no last_id"])
@in_virtual_time
async def test_a_list_that_goes_round_in_circles_is_left(cursor: str) -> None:
    async with World() as world:

        async def first_page(_: httpx.Request) -> httpx.Response:
            page = page_of([job("in_progress", f"other_{i}") for i in range(100)], has_more=True)
            return answer(page if cursor == "the same page" else {**page, "last_id": None})

        world.server.before_list = first_page
        tasks = world.start_many(250, lambda _: 100)
        assert set(await outcomes(tasks)) == {"completed"}
        assert world.server.count("list") <= 2


@in_virtual_time
async def test_jobs_that_are_not_on_the_list_are_asked_for() -> None:
    async with World() as world:
        for i in range(10):
            world.server.add(f"hidden_{i}", 60, listed=False)
        hidden = [world.start(f"hidden_{i}") for i in range(10)]
        tasks = world.start_many(200, lambda _: 60)
        assert set(await outcomes(tasks + hidden)) == {"completed"}
        assert world.server.count("list") > 10
        assert world.server.count("retrieve") < 200


@in_virtual_time
async def test_a_list_that_shows_jobs_under_other_ids_is_left() -> None:
    async with World() as world:
        for i in range(100):
            world.server.add(f"other_{i}", 60)
        tasks = world.start_many(100, lambda _: 60, listed=False)
        assert set(await outcomes(tasks)) == {"completed"}
        assert world.server.count("list") <= 5


@in_virtual_time
async def test_a_list_that_takes_too_long_is_left() -> None:
    async with World() as world:

        async def slow(_: httpx.Request) -> None:
            await asyncio.sleep(45)

        world.server.before_list = slow
        begun = world.clock()
        tasks = world.start_many(100, lambda _: 60)
        assert set(await outcomes(tasks)) == {"completed"}
        assert world.clock() - begun < 100
        assert world.server.count("list") == 1
        assert "GET /videos got no response within 20.0 s" in [str(error) for error in world.observer.errors]


@pytest.mark.parametrize("page_length", [20, 1000])
@in_virtual_time
async def test_a_server_that_has_pages_of_its_own_length_is_read_all_the_same(page_length: int) -> None:
    async with World() as world:
        world.server.page_length = page_length
        tasks = world.start_many(400, lambda _: 200)
        assert set(await outcomes(tasks)) == {"completed"}
        assert world.server.count("list") > world.server.count("retrieve")


@in_virtual_time
async def test_many_jobs_of_others_are_skipped() -> None:
    async with World() as world:
        tasks = world.start_many(100, lambda _: 300)
        for i in range(350):
            world.server.add(f"other_{i}", 1000)
        assert set(await outcomes(tasks)) == {"completed"}
        assert world.server.count("list") > world.server.count("retrieve")


@in_virtual_time
async def test_a_list_that_never_changes_is_found_out() -> None:
    async with World() as world:
        tasks = world.start_many(100, lambda _: 100)
        for one in world.server.jobs.values():
            one.frozen_at = world.clock()
        begun = world.clock()
        assert set(await outcomes(tasks)) == {"completed"}
        assert world.clock() - begun < 250


@in_virtual_time
async def test_the_list_has_not_the_last_word_at_a_deadline() -> None:
    async with World() as world:
        world.server.add("old", 100)  # the check meets this one
        for i in range(50):
            world.server.add(f"video_{i}", 20)
        for one in world.server.jobs.values():
            one.frozen_at = world.clock()
        tasks = [world.start(f"video_{i}", timeout=25) for i in range(50)]
        assert set(await outcomes(tasks)) == {"completed"}


@in_virtual_time
async def test_why_a_job_failed_is_asked_for_where_the_list_leaves_it_out() -> None:
    async with World() as world:
        tasks = world.start_many(100, lambda _: 60, outcome="failed")
        normal = world.server._page

        def bare(request: httpx.Request) -> httpx.Response:
            page = parse(normal(request))
            return answer({**page, "data": [{**one, "error": None} for one in page["data"]]})

        world.server._page = bare  # type: ignore[method-assign]
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert {getattr(error, "code", None) for error in found} == {"oom"}


@in_virtual_time
async def test_what_a_page_shows_of_a_job_that_is_not_due_is_used_too() -> None:
    async with World() as world:
        world.server.add("patient", 70)
        world.server.add("failing", 70, outcome="failed")
        begun = world.clock()
        patient = [world.start(name, interval=100_000, timeout=90_000) for name in ("patient", "failing")]
        tasks = world.start_many(100, lambda _: 300)
        assert await outcomes(patient) == ["completed", "SoraVideoFailedError"]
        assert world.clock() - begun < 150
        for task in tasks:
            task.cancel()
        await outcomes(tasks)


@in_virtual_time
async def test_when_all_leave_no_further_page_is_read() -> None:
    async with World() as world:
        tasks = world.start_many(1000, lambda _: 300)
        while not world.server.count("list"):
            await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await outcomes(tasks)
        await asyncio.sleep(10)
        assert world.server.count("list") == 1


def parse(response: httpx.Response) -> dict[str, list[dict[str, object]]]:
    """A page that was made."""
    page: dict[str, list[dict[str, object]]] = response.json()
    return page


@pytest.mark.parametrize("share", [0.005, 0.05])
@in_virtual_time
async def test_pages_that_fail_now_and_then_do_not_switch_the_list_off(share: float) -> None:
    """Measured before: one failed page cost 9 000 requests for a thousand waits."""
    async with World() as world:
        chance = random.Random(7)  # noqa: S311 - no secret

        async def now_and_then(_: httpx.Request) -> httpx.Response | None:
            return answer({"error": "boom"}, 500) if chance.random() < share else None

        world.server.before_all = now_and_then
        tasks = world.start_many(1000, lambda i: 30 + i % 90)
        assert set(await outcomes(tasks)) == {"completed"}
        assert len(world.server.asked) < 320
