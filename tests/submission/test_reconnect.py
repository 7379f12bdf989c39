"""A try that finds a video id in its record: reconnect to the job, or submit a new one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from airflow_provider_sora import exceptions
from airflow_provider_sora.api.protocol.requests import RemixVideo
from airflow_provider_sora.submission import submit_once
from tests.submission.world import REQUEST, Store, World, attempt, client, submit


def test_a_retry_reconnects_to_a_running_job(world: World) -> None:
    store = Store(world)
    first = submit(world, attempt(world, store))
    assert submit(world, attempt(world, store)).id == first.id
    assert world.posts == 1


@pytest.mark.parametrize(
    ("change", "posts"),
    [
        ({"status": "completed"}, 1),
        ({"status": "completed", "expires_at": 2_000_000}, 1),
        ({"status": "completed", "expires_at": 1_000_001}, 2),
        ({"status": "completed", "expires_at": 1_001_200}, 2),
        ({"status": "failed"}, 2),
        ({"status": "cancelled"}, 2),
        ({"id": "another"}, 2),
    ],
    ids=["finished", "not expired", "expired", "expired by the server's clock", "failed", "cancelled", "gone"],
)
def test_the_status_of_the_earlier_job_decides_whether_a_new_one_is_submitted(
    world: World, change: dict[str, Any], posts: int
) -> None:
    store = Store(world)
    submit(world, attempt(world, store))
    world.jobs[1].update(change)
    submit(world, attempt(world, store))
    assert world.posts == posts


def test_a_job_made_from_another_source_is_not_reconnected_to(world: World) -> None:
    """The step before has submitted a new job, so the job that extends its first video is out of date."""
    store = Store(world)
    submit(world, attempt(world, store), RemixVideo(prompt="a cat", video_id="one"))
    assert submit(world, attempt(world, store), RemixVideo(prompt="a cat", video_id="two")).id == "video_2"


@pytest.mark.parametrize(
    "body",
    [
        b"404 page not found",
        b"",
        b"<html>Not Found</html>",
        b"default backend - 404",
        b'{"message": "no Route matched with those values"}',
        b'{"error_msg": "404 Route Not Found"}',
    ],
)
def test_a_routing_404_does_not_mean_that_the_job_is_gone(world: World, body: bytes) -> None:
    store = Store(world)
    first = submit(world, attempt(world, store))
    gateway = httpx.MockTransport(lambda _: httpx.Response(404, content=body))
    with (
        client(world, transport=gateway) as connection,
        pytest.raises(exceptions.SoraConnectionError, match="may still be there"),
    ):
        submit_once(connection, REQUEST, attempt(world, store))
    assert submit(world, attempt(world, store)).id == first.id


def test_a_job_that_is_on_the_list_is_not_gone_although_the_server_answers_404(world: World) -> None:
    store = Store(world)
    first = submit(world, attempt(world, store))
    world.fault_at_each_request(retrieve="404")
    assert submit(world, attempt(world, store)).id == first.id
    assert world.posts == 1


def test_after_a_404_the_job_is_retrieved_again_in_two_and_five_seconds(world: World) -> None:
    store, slept = Store(world), list[float]()
    submit(world, attempt(world, store))
    world.jobs[1]["id"] = "another"
    submit(world, attempt(world, store, sleep=slept.append))
    assert slept == [2.0, 5.0, 0.0]


@pytest.mark.parametrize(("responses", "posts"), [(1, 1), (2, 1), (3, 2)])
def test_without_a_list_a_job_is_gone_after_three_404s(world: World, responses: int, posts: int) -> None:
    store = Store(world)
    submit(world, attempt(world, store))
    world.lists, left = False, iter([True] * responses)
    world.on_step = lambda step: (
        world.faults.update(retrieve="404") if step == "request" and next(left, False) else None
    )
    submit(world, attempt(world, store))
    assert world.posts == posts


def test_a_job_is_not_gone_while_the_list_fails(world: World) -> None:
    store = Store(world)
    submit(world, attempt(world, store))
    world.fault_at_each_request(retrieve="404", list="fails")
    with pytest.raises(exceptions.SoraConnectionError, match="may still be there"):
        submit(world, attempt(world, store))
    assert world.posts == 1


def repeat_the_first_page(world: World) -> None:
    world.page_length = 1
    world.arranges = lambda jobs: [jobs[-1]] * 2


def answer_by_a_gateway(world: World) -> None:
    world.lists = None


@pytest.mark.parametrize("break_list", [repeat_the_first_page, answer_by_a_gateway])
def test_a_job_is_not_gone_while_the_list_cannot_be_read_to_the_end(
    world: World, break_list: Callable[[World], None]
) -> None:
    store = Store(world)
    submit(world, attempt(world, store))
    world.jobs[1]["id"] = "another"
    break_list(world)
    with pytest.raises(exceptions.SoraConnectionError, match="its list could not be read to the end"):
        submit(world, attempt(world, store))
    assert world.posts == 1
