"""A cleared task: when it keeps the job of the record, and when it submits a new one."""

from __future__ import annotations

import httpx
import pytest

from airflow_provider_sora import exceptions
from airflow_provider_sora.api.protocol.requests import CreateVideo
from airflow_provider_sora.submission import submit_once
from tests.submission.list_variants import UNCLEAR
from tests.submission.world import REQUEST, Store, World, attempt, client, fail_a_try, submit


def test_a_cleared_task_submits_a_new_job_unless_it_is_to_reuse_the_old_one(world: World) -> None:
    store = Store(world)
    first = submit(world, attempt(world, store, generation=2))
    attempt(world, store, generation=2).mark("done")
    assert submit(world, attempt(world, store, generation=3, reuse=True)).id == first.id
    attempt(world, store, generation=3).mark("done")
    assert submit(world, attempt(world, store, generation=4)).id != first.id
    assert world.posts == 2


def test_a_clear_during_a_submission_resumes_it(world: World) -> None:
    store = Store(world)
    fail_a_try(world, store)
    assert submit(world, attempt(world, store, generation=1)).id == "video_1"
    assert world.posts == 1


def test_a_clear_with_another_prompt_submits_a_new_job(world: World) -> None:
    store = Store(world)
    fail_a_try(world, store)
    submit(world, attempt(world, store, generation=1), CreateVideo(prompt="a cat at noon"))
    assert world.posts == 2


@pytest.mark.parametrize(("status", "posts"), [("queued", 2), ("completed", 1), ("gone", 2), ("failed", 2)])
def test_a_clear_of_a_wait_in_the_triggerer_keeps_only_a_finished_video(world: World, status: str, posts: int) -> None:
    """A user who clears a waiting task wants another video; but one that no task has used yet is not lost."""
    store = Store(world)
    submit(world, attempt(world, store))
    attempt(world, store).mark("waiting")
    world.jobs[1].update({"id": "another"} if status == "gone" else {"status": status})
    submit(world, attempt(world, store, generation=1))
    assert world.posts == posts


def test_a_clear_of_a_wait_without_an_id_submits_a_new_job(world: World) -> None:
    store = Store(world)
    fail_a_try(world, store)
    attempt(world, store).mark("waiting")
    assert submit(world, attempt(world, store, generation=1)).id == "video_2"


def test_a_gateways_404_does_not_show_that_a_job_is_unfinished(world: World) -> None:
    store = Store(world)
    submit(world, attempt(world, store))
    attempt(world, store).mark("waiting")
    gateway = httpx.MockTransport(lambda _: httpx.Response(404, text="default backend - 404"))
    with (
        client(world, transport=gateway) as connection,
        pytest.raises(exceptions.SoraConnectionError, match="may still be there"),
    ):
        submit_once(connection, REQUEST, attempt(world, store, generation=1))
    assert world.posts == 1


def test_a_clear_after_an_undecided_try_submits_a_new_job(world: World) -> None:
    store = Store(world)
    world.shows = UNCLEAR["no prompt"]
    fail_a_try(world, store)
    with pytest.raises(exceptions.SoraUndecidedError):
        submit(world, attempt(world, store))
    with pytest.raises(exceptions.SoraUndecidedError):  # a retry does not
        submit(world, attempt(world, store))
    assert submit(world, attempt(world, store, generation=1)).id == "video_2"


def test_a_clear_after_a_wait_that_left_the_job_running_reconnects_to_it(world: World) -> None:
    store = Store(world)
    first = submit(world, attempt(world, store))
    attempt(world, store).mark("done")
    attempt(world, store).mark("open")
    assert submit(world, attempt(world, store, generation=1)).id == first.id


@pytest.mark.parametrize(("status", "ids"), [("queued", ["video_1"]), ("completed", ["video_1", "video_2"])])
def test_without_a_store_a_clear_re_attaches_only_to_a_job_that_still_runs(
    world: World, status: str, ids: list[str]
) -> None:
    begin = world.now
    fail_a_try(world, None)
    world.jobs[1]["status"] = status
    submit(world, attempt(world, may_have_submitted_since=begin, was_cleared=True))
    assert [job["id"] for job in world.jobs[1:]] == ids
