"""Mapped tasks with one prompt: each ends with a job of its own."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_sora.submission.claims import Claim
from tests.submission.world import PROMPT_DIGEST, DiedError, Store, World, attempt, fail_a_try, submit
from tests.submission.xcom import XCom


def die_after_the_create(world: World, xcom: XCom, stores: list[Store], index: int) -> None:
    world.faults = {"post": "dies after"}
    with pytest.raises(DiedError):
        submit(world, attempt(world, stores[index], claims=xcom.of(index)))


def test_a_task_whose_job_was_re_attached_by_a_sibling_re_attaches_to_the_siblings_job(world: World) -> None:
    """One retries while the other waits for the response."""
    xcom, stores = XCom(world), [Store(world), Store(world)]
    die_after_the_create(world, xcom, stores, 0)
    world.now += 300
    found: list[str] = []

    def meanwhile(step: str) -> None:
        if step == "response" and world.posts == 2 and not found:
            found.append("")
            found[0] = submit(world, attempt(world, stores[0], claims=xcom.of(0))).id

    world.on_step = meanwhile
    lines: list[str] = []
    this = attempt(world, stores[1], claims=xcom.of(1), log=lambda line, *of: lines.append(line % of))
    assert (submit(world, this).id, *found) == ("video_1", "video_2")
    assert "A mapped task with the same prompt has re-attached to video video_2" in lines
    assert world.posts == 2


@pytest.mark.parametrize("with_store", [True, False])
def test_five_tasks_that_were_killed_after_the_create_have_five_jobs(world: World, with_store: bool) -> None:
    xcom, stores, begin = XCom(world), [Store(world) for _ in range(5)], world.now
    for index in range(5):
        die_after_the_create(world, xcom, stores, index)
    world.now += 300
    found = []
    for index in range(5):
        xcom.begin_try(index)
        known: dict[str, Any] = {"store": stores[index]} if with_store else {"may_have_submitted_since": begin}
        found.append(submit(world, attempt(world, **known, claims=xcom.of(index))).id)
    assert sorted(found) == [f"video_{n}" for n in range(1, 6)]
    assert world.posts == 5


def test_the_job_that_a_sibling_had_before_its_clear_is_not_re_attached(world: World) -> None:
    """It is new since a sibling's intent, but no other task may have it."""
    xcom, stores = XCom(world), [Store(world) for _ in range(2)]
    first = submit(world, attempt(world, stores[0], claims=xcom.of(0)))
    attempt(world, stores[0]).mark("done")
    xcom.begin_try(0)
    xcom.claims[7] = {PROMPT_DIGEST.text: Claim(index=7, intended_at=world.now - 50)}
    second = submit(world, attempt(world, stores[0], generation=1, claims=xcom.of(0)))
    fail_a_try(world, stores[1], "dies before")
    mine = submit(world, attempt(world, stores[1], claims=xcom.of(1)))
    assert len({first.id, second.id, mine.id}) == 3
