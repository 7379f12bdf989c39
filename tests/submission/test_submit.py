"""A first submission: the order of its steps, and a record that cannot be read."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_sora import exceptions
from airflow_provider_sora.api.decisions.retry import RequestRetryPolicy
from airflow_provider_sora.submission import submit_once
from tests.submission.world import REQUEST, DiedError, Store, World, attempt, client, submit


def test_the_video_id_is_written_to_the_store(world: World) -> None:
    store = Store(world)
    video = submit(world, attempt(world, store))
    assert store.values["sora_video_0"]["video_id"] == video.id


def test_no_create_is_sent_if_the_intent_cannot_be_written(world: World) -> None:
    world.faults = {"intent": "dies before"}
    with pytest.raises(DiedError):
        submit(world, attempt(world, Store(world)))
    assert world.posts == 0


def test_the_intent_is_written_before_each_retry_of_the_client(world: World) -> None:
    store, written = Store(world), list[int]()
    world.on_step = lambda step: written.append(world.posts) if step == "store" else None
    world.faults = {"post": "429"}
    with client(world, policy=RequestRetryPolicy(attempts=2, base_seconds=0)) as connection:
        submit_once(connection, REQUEST, attempt(world, store))
    assert written == [0, 1, 2]


def test_the_video_id_is_logged_before_it_is_written(world: World) -> None:
    lines: list[str] = []
    world.faults = {"id": "dies before"}
    with pytest.raises(DiedError):
        submit(world, attempt(world, Store(world), log=lambda line, *of: lines.append(line % of)))
    assert lines == ["Video video_1: accepted"]


def test_a_submission_costs_one_extra_request(world: World) -> None:
    submit(world, attempt(world, Store(world)))
    assert [request.split()[0] for request in world.requests] == ["GET", "POST"]


def test_a_job_is_submitted_to_a_server_without_a_list(world: World) -> None:
    world.lists = False
    assert submit(world, attempt(world, Store(world))).id == "video_1"


@pytest.mark.parametrize(
    "value",
    ["junk", 7, [], {}, {"generation": "x"}, {"version": 2, "generation": 0}, {"version": 99}],
)
def test_a_record_that_cannot_be_read_is_reported_and_nothing_is_submitted(world: World, value: Any) -> None:
    store = Store(world, {"sora_video_0": value})
    with pytest.raises(exceptions.SoraUndecidedError, match="the task state store holds under 'sora_video_0'"):
        submit(world, attempt(world, store))
    attempt(world, store).mark("done")  # does not block a finished video
    assert (world.posts, store.values["sora_video_0"]) == (0, value)
