"""A try that finds an intent without an id: re-attach to its job on the list, submit again, or fail."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from airflow_provider_sora import exceptions
from airflow_provider_sora.api.protocol.requests import CreateVideo, ExtendVideo, JobRequest, RemixVideo
from airflow_provider_sora.submission import submit_once
from tests.submission.list_variants import MISTIMED, REWORDED, UNCLEAR, Job
from tests.submission.world import REQUEST, Store, World, attempt, client, fail_a_try, submit
from tests.submission.xcom import XCom

PROMPT = "A cat's  day & night 🐈\nat the sea"


def test_a_retry_re_attaches_to_the_job_of_an_intent(world: World) -> None:
    store = Store(world)
    fail_a_try(world, store)
    assert submit(world, attempt(world, store)).id == "video_1"
    assert world.posts == 1


def test_an_intent_without_a_job_is_submitted_again(world: World) -> None:
    store = Store(world)
    fail_a_try(world, store, "dies before")
    submit(world, attempt(world, store))
    assert len(world.jobs) == 2


def test_a_retry_with_another_prompt_re_attaches_to_the_job_of_the_first(world: World) -> None:
    store = Store(world)
    fail_a_try(world, store)
    assert submit(world, attempt(world, store), CreateVideo(prompt="a cat at noon")).id == "video_1"
    assert "a cat" not in str(store.values)


def test_a_worker_whose_clock_is_behind_finds_the_job_too(world: World) -> None:
    store = Store(world)
    fail_a_try(world, store)
    store.values["sora_video_0"]["intended_at"] += 400
    assert submit(world, attempt(world, store)).id == "video_1"


def several_jobs(world: World) -> None:
    world.add(**REQUEST.fields())
    world.add(**REQUEST.fields())


def no_list(world: World) -> None:
    world.lists = False


def no_prompts(world: World) -> None:
    world.add(**REQUEST.fields())
    world.shows = UNCLEAR["no prompt"]


@pytest.mark.parametrize(
    ("arrange", "words"),
    [
        (several_jobs, "2 new jobs on the server have its prompt: video_2, video_1"),
        (no_list, "the server's list cannot be read"),
        (no_prompts, "one of these jobs on the server may be its own: video_1"),
    ],
)
def test_an_ambiguous_list_fails_the_task_or_lets_it_submit_again_by_choice(
    world: World, arrange: Callable[[World], None], words: str
) -> None:
    arrange(world)
    with pytest.raises(exceptions.SoraUndecidedError, match=words) as caught:
        submit(world, attempt(world, may_have_submitted_since=world.now - 10))
    assert (world.posts, caught.value.retryable) == (0, False)
    submit(world, attempt(world, may_have_submitted_since=world.now - 10, on_ambiguous="resubmit"))
    assert world.posts == 1


def test_a_list_that_fails_for_a_moment_is_left_to_the_next_try(world: World) -> None:
    world.add(**REQUEST.fields())
    world.faults = {"list": "fails"}
    with pytest.raises(exceptions.SoraServerError):
        submit(world, attempt(world, may_have_submitted_since=world.now - 10))
    assert submit(world, attempt(world, may_have_submitted_since=world.now - 10)).id == "video_1"
    assert world.posts == 0


def test_a_server_that_is_down_for_a_moment_is_left_to_the_next_try(world: World) -> None:
    store = Store(world)
    fail_a_try(world, store)

    def down(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("down")

    with (
        client(world, transport=httpx.MockTransport(down)) as connection,
        pytest.raises(exceptions.SoraConnectionError),
    ):
        submit_once(connection, REQUEST, attempt(world, store))


@pytest.mark.parametrize("shows", REWORDED.values(), ids=REWORDED)
@pytest.mark.parametrize("times", MISTIMED.values(), ids=MISTIMED)
def test_a_job_is_found_however_its_server_words_it(
    world: World, shows: Callable[[Job], Job], times: Callable[[Job], Job]
) -> None:
    store, request = Store(world), REQUEST.model_copy(update={"prompt": PROMPT})
    world.shows = lambda job: times(shows(job))
    fail_a_try(world, store, request=request)
    assert submit(world, attempt(world, store), request).id == "video_1"
    assert world.posts == 1


@pytest.mark.parametrize("shows", UNCLEAR.values(), ids=UNCLEAR)
def test_a_job_with_an_unclear_prompt_stops_the_task_from_paying_again(
    world: World, shows: Callable[[Job], Job]
) -> None:
    store, request = Store(world), REQUEST.model_copy(update={"prompt": PROMPT})
    world.shows = shows
    fail_a_try(world, store, request=request)
    with pytest.raises(exceptions.SoraUndecidedError, match="video_1"):
        submit(world, attempt(world, store), request)
    assert world.posts == 1


def test_without_a_date_the_snapshot_shows_which_jobs_are_new(world: World) -> None:
    store = Store(world)
    world.sends_date, world.clock_ahead = False, -120.0
    fail_a_try(world, store)
    assert submit(world, attempt(world, store)).id == "video_1"


def test_other_tasks_jobs_are_no_obstacle_if_the_list_shows_this_prompt(world: World) -> None:
    world.add(**REQUEST.fields(), status="completed")
    store = Store(world)
    fail_a_try(world, store, "dies before")
    world.add(prompt="a dog", model="wan")
    submit(world, attempt(world, store))
    assert world.posts == 2


def test_other_tasks_jobs_are_no_obstacle_if_the_list_shows_a_known_prompt(world: World) -> None:
    xcom = XCom(world, jobs={7: "video_1"})
    world.add(**REQUEST.fields(), status="completed")
    store = Store(world)
    fail_a_try(world, store, "dies before", CreateVideo(prompt="another", model="wan"))
    world.add(prompt="of another task", model="wan")
    submit(world, attempt(world, store, claims=xcom.of(0)), CreateVideo(prompt="another", model="wan"))
    assert world.posts == 2


@pytest.mark.parametrize(
    "request_",
    [
        ExtendVideo(prompt="a cat", video={"id": "video_1"}, seconds="4"),
        RemixVideo(prompt="a cat", video_id="video_1"),
    ],
)
@pytest.mark.parametrize("created", MISTIMED)
def test_a_source_with_the_same_prompt_is_never_the_result(world: World, request_: JobRequest, created: str) -> None:
    world.add(prompt="a cat", status="completed")
    world.shows = MISTIMED[created]
    try:
        video = submit(world, attempt(world, may_have_submitted_since=world.now - 10), request_)
    except exceptions.SoraUndecidedError:
        return
    assert video.id != "video_1"


def test_an_old_video_is_not_re_attached_on_a_server_without_times(world: World) -> None:
    world.add(**REQUEST.fields(), status="completed")
    world.shows = MISTIMED["none"]
    store = Store(world)
    fail_a_try(world, store, "dies before")
    assert submit(world, attempt(world, store)).id == "video_2"


def test_another_tasks_job_is_not_re_attached(world: World) -> None:
    xcom = XCom(world, jobs={7: "video_1"})
    world.add(**REQUEST.fields())
    world.add(**REQUEST.fields())
    assert submit(world, attempt(world, may_have_submitted_since=world.now - 10, claims=xcom.of(0))).id == "video_2"
