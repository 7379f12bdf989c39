"""A create that fails: whether it is searched for, sent again in the same try, or left to the next try."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from airflow_provider_sora import exceptions
from tests.submission.list_variants import UNCLEAR
from tests.submission.world import REQUEST, Store, World, attempt, fail_a_try, submit

WAIVED = [{"on_ambiguous": "resubmit"}, {"was_cleared": True}]


@pytest.mark.parametrize("fault", ["no connection", "429", "400", "busy"])
def test_a_create_that_was_not_accepted_leaves_no_intent(world: World, fault: str) -> None:
    store = Store(world)
    world.faults = {"post": fault}
    with pytest.raises(exceptions.SoraError):
        submit(world, attempt(world, store))
    assert store.values == {}


def test_a_create_that_was_not_accepted_restores_the_previous_record(world: World) -> None:
    store = Store(world)
    submit(world, attempt(world, store))
    before = dict(store.values)
    world.jobs[1]["status"] = "failed"
    world.faults = {"post": "429"}
    with pytest.raises(exceptions.SoraRateLimitError):
        submit(world, attempt(world, store))
    assert store.values == before


def test_the_next_try_after_a_busy_server_does_not_search_for_a_job(world: World) -> None:
    world.add(**REQUEST.fields())  # another task's
    store = Store(world)
    world.faults = {"post": "busy"}
    with pytest.raises(exceptions.SoraServerError):
        submit(world, attempt(world, store))
    assert submit(world, attempt(world, store)).id == "video_2"


@pytest.mark.parametrize(
    "fault", ["no response", "502, accepted", "408, accepted", "unreadable, accepted", "redirect, accepted"]
)
def test_the_job_of_a_lost_response_is_found_in_the_same_try(world: World, fault: str) -> None:
    world.faults = {"post": fault}
    assert submit(world, attempt(world, Store(world))).id == "video_1"
    assert world.posts == 1


@pytest.mark.parametrize("fault", ["redirect, not accepted", "500, not accepted"])
def test_a_create_that_was_perhaps_accepted_is_left_to_the_next_try(world: World, fault: str) -> None:
    store = Store(world)
    world.add(**REQUEST.fields(), status="completed")  # shows that the list repeats prompts
    fail_a_try(world, store, fault)
    assert submit(world, attempt(world, store)).id == "video_2"


def test_a_gateway_that_accepts_and_answers_503_is_paid_once(world: World) -> None:
    store = Store(world)
    for _ in range(4):
        world.fault_at_each_request(post="503 for 5 s, accepted")
        with contextlib.suppress(exceptions.SoraError):
            submit(world, attempt(world, store))
        world.now += 300
    assert world.posts == 1


def test_after_a_503_with_retry_after_the_create_is_sent_again_after_that_time(world: World) -> None:
    slept: list[float] = []
    world.faults = {"post": "503 for 5 s"}
    assert submit(world, attempt(world, Store(world), sleep=slept.append)).id == "video_1"
    assert (world.posts, slept[0]) == (2, 5.0)


@pytest.mark.parametrize(("fault", "posts"), [("503 for 30 s", 2), ("503 for 31 s", 1)])
def test_a_wait_of_more_than_30_s_is_left_to_airflows_retry(world: World, fault: str, posts: int) -> None:
    world.faults = {"post": fault}
    with contextlib.suppress(exceptions.SoraServerError):
        submit(world, attempt(world, Store(world)))
    assert world.posts == posts


def test_one_try_waits_for_refusals_for_30_s_in_total(world: World) -> None:
    world.fault_at_each_request(post="503 for 20 s")
    with pytest.raises(exceptions.SoraServerError):
        submit(world, attempt(world, Store(world)))
    assert world.posts == 2


def test_one_try_sends_a_create_at_most_five_times(world: World) -> None:
    world.fault_at_each_request(post="503 for 5 s")
    with pytest.raises(exceptions.SoraConnectionError, match="was refused 5 times"):
        submit(world, attempt(world, Store(world)))
    assert world.posts == 5


def test_after_one_refusal_a_list_that_cannot_be_read_blocks_no_resend(world: World) -> None:
    world.lists = False
    world.on_step = lambda step: (
        world.faults.update(post="503 for 5 s") if step == "request" and world.posts < 2 else None
    )
    store = Store(world)
    with pytest.raises(exceptions.SoraUndecidedError, match="list cannot be read"):
        submit(world, attempt(world, store))
    assert world.posts == 2


@pytest.mark.parametrize(
    ("waived", "error"), [(WAIVED[0], exceptions.SoraServerError), (WAIVED[1], exceptions.SoraUndecidedError)]
)
def test_a_doubt_about_this_trys_own_create_cannot_be_waived(
    world: World, waived: dict[str, Any], error: type[exceptions.SoraError]
) -> None:
    """A Clear came before the create, and `on_ambiguous` is for the next try, which Airflow starts after a 503."""
    world.shows = UNCLEAR["no prompt"]
    world.fault_at_each_request(post="503 for 5 s, accepted")
    with pytest.raises(error):
        submit(world, attempt(world, may_have_submitted_since=world.now - 10, **waived))
    assert world.posts == 1


@pytest.mark.parametrize("waived", WAIVED)
def test_a_create_that_is_sent_in_spite_of_a_doubt_has_an_intent_of_its_own(
    world: World, waived: dict[str, Any]
) -> None:
    """The job that was there before, and caused the doubt, is not its job."""
    world.add(**REQUEST.fields())
    world.shows = lambda job: {**job, "created_at": None}
    world.faults = {"post": "no response"}
    this = attempt(world, Store(world), may_have_submitted_since=world.now - 10, **waived)
    assert submit(world, this).id == "video_2"
