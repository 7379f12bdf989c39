"""How far the list is read for a job, and which lists prove that there is none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_sora import exceptions
from tests.submission.world import Store, World, attempt, fail_a_try, submit


def empty(world: World) -> None:
    world.arranges = lambda _: []


def repeats(world: World) -> None:
    """It announces a next page, and repeats its first one."""
    world.page_length = 1
    world.arranges = lambda jobs: [jobs[-1]] * 2


def forgets(world: World) -> None:
    world.arranges = lambda _: [{**world.jobs[0], "id": "another", "prompt": "a bird", "status": "failed"}]


@pytest.mark.parametrize("break_list", [empty, repeats, forgets])
def test_a_list_that_is_not_complete_does_not_prove_that_there_is_no_job(
    world: World, break_list: Callable[[World], None]
) -> None:
    store = Store(world)
    fail_a_try(world, store)
    break_list(world)
    with pytest.raises(exceptions.SoraUndecidedError, match="list"):
        submit(world, attempt(world, store))
    assert world.posts == 1


def test_at_most_20_pages_are_read_of_an_endless_list(world: World) -> None:
    store = Store(world)
    fail_a_try(world, store)
    world.arranges = lambda _: [{**world.jobs[0], "id": f"{world.now} {n}", "status": "failed"} for n in range(300)]
    world.requests.clear()
    with pytest.raises(exceptions.SoraUndecidedError, match="could not be read to its end"):
        submit(world, attempt(world, store))
    assert len(world.requests) == 4 * 20
    assert world.limits == {"100"}


@pytest.mark.parametrize("sends_has_more", [True, False])
def test_a_job_on_a_later_page_is_found(world: World, sends_has_more: bool) -> None:
    store = Store(world)
    world.sends_has_more = sends_has_more
    fail_a_try(world, store)
    for _ in range(150):
        world.add(prompt="later", model="wan")
    world.requests.clear()
    assert submit(world, attempt(world, store)).id == "video_1"
    assert len(world.requests) == (2 if sends_has_more else 3)  # without has_more, an empty page is the end


def test_a_long_list_is_read_only_as_far_as_it_can_hold_new_jobs() -> None:
    world = World()
    for _ in range(1000):
        world.add(prompt="old", model="wan")
        world.now += 60
    store = Store(world)
    fail_a_try(world, store, "dies before")
    world.requests.clear()
    submit(world, attempt(world, store))
    assert [request.split()[0] for request in world.requests] == ["GET", "GET", "POST"]  # the second read confirms
    assert world.posts == 2


def test_a_job_that_the_list_shows_late_is_found(world: World) -> None:
    world.lag, world.faults = 6.0, {"post": "no response"}
    assert submit(world, attempt(world, Store(world))).id == "video_1"
