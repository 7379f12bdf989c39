"""Submitting once, whatever happens: each case that was seen, one by one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from airflow_provider_sora import exceptions
from airflow_provider_sora.api.decisions.retry import RequestRetryPolicy
from airflow_provider_sora.api.protocol.requests import CreateVideo, ExtendVideo, JobRequest, RemixVideo
from airflow_provider_sora.submission import submit_once
from airflow_provider_sora.submission.claims import Claim
from airflow_provider_sora.submission.record import Fingerprint
from tests.submission.world import (
    MISTIMED,
    REQUEST,
    REWORDED,
    UNCLEAR,
    DiedError,
    Job,
    Store,
    World,
    XCom,
    attempt,
    client,
    submit,
)

LONG_AGO = 1_000.0
PROMPT = "A cat's  day & night 🐈\nat the sea"


@pytest.fixture
def world() -> World:
    """A server that shows somebody else's job, too: a list that is empty tells nothing."""
    world = World()
    world.add(prompt="a dog", model="other", seconds="8", size="32x32")
    world.now += LONG_AGO
    return world


def dies(world: World, store: Store | None, fault: str = "dies after", request: JobRequest = REQUEST) -> None:
    """A try that ends in this fault, and the time until the next."""
    world.faults = {"post": fault}
    with pytest.raises((DiedError, exceptions.SoraError)):
        submit(world, attempt(world, store), request)
    world.faults = {}
    world.now += 300


def test_the_id_is_remembered(world: World) -> None:
    store = Store(world)
    video = submit(world, attempt(world, store))
    assert store.values["sora_video_0"]["video_id"] == video.id


def test_a_running_job_is_taken_up_again(world: World) -> None:
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
        ({"status": "failed"}, 2),
        ({"status": "cancelled"}, 2),
        ({"id": "of somebody else"}, 2),
    ],
    ids=["finished", "not expired", "expired", "failed", "cancelled", "gone"],
)
def test_what_became_of_the_earlier_job_decides(world: World, change: dict[str, Any], posts: int) -> None:
    store = Store(world)
    submit(world, attempt(world, store))
    world.jobs[1].update(change)
    submit(world, attempt(world, store))
    assert world.posts == posts


def test_a_cleared_task_makes_a_new_video_unless_told_to_reuse(world: World) -> None:
    store = Store(world)
    first = submit(world, attempt(world, store, generation=2))
    attempt(world, store, generation=2).mark("done")
    assert submit(world, attempt(world, store, generation=3, reuse=True)).id == first.id
    attempt(world, store, generation=3).mark("done")
    assert submit(world, attempt(world, store, generation=4)).id != first.id
    assert world.posts == 2


@pytest.mark.parametrize(
    "fault", ["answer lost", "fails accepted", "upstream timed out", "gibberish", "redirected accepted"]
)
def test_a_lost_answer_is_found_on_the_list_at_once(world: World, fault: str) -> None:
    world.faults = {"post": fault}
    assert submit(world, attempt(world, Store(world))).id == "video_1"
    assert world.posts == 1


@pytest.mark.parametrize("fault", ["not sent", "refused", "invalid", "busy"])
def test_what_was_not_accepted_leaves_nothing_to_wonder_about(world: World, fault: str) -> None:
    store = Store(world)
    world.faults = {"post": fault}
    with pytest.raises(exceptions.SoraError):
        submit(world, attempt(world, store))
    assert store.values == {}


def test_an_intent_without_an_id_finds_its_job(world: World) -> None:
    store = Store(world)
    dies(world, store)
    assert submit(world, attempt(world, store)).id == "video_1"
    assert world.posts == 1


def test_an_intent_without_a_job_is_submitted(world: World) -> None:
    store = Store(world)
    dies(world, store, "dies before")
    submit(world, attempt(world, store))
    assert len(world.jobs) == 2


def test_a_prompt_that_is_rendered_anew_still_finds_the_job_of_the_old_one(world: World) -> None:
    store = Store(world)
    dies(world, store)
    assert submit(world, attempt(world, store), CreateVideo(prompt="a cat at noon")).id == "video_1"
    assert "a cat" not in str(store.values)


def test_the_intent_is_a_fence(world: World) -> None:
    world.faults = {"intent": "dies before"}
    with pytest.raises(DiedError):
        submit(world, attempt(world, Store(world)))
    assert world.posts == 0


def several(world: World) -> None:
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
        (several, "2 jobs on the server could be its own: video_2, video_1"),
        (no_list, "the server's list does not tell"),
        (no_prompts, "may be one of 1 jobs that are new on the server: video_1"),
    ],
)
def test_what_cannot_be_decided_fails_or_submits_by_choice(
    world: World, arrange: Callable[[World], None], words: str
) -> None:
    arrange(world)
    with pytest.raises(exceptions.SoraUndecidedError, match=words) as caught:
        submit(world, attempt(world, since=world.now - 10))
    assert (world.posts, caught.value.retryable) == (0, False)
    submit(world, attempt(world, since=world.now - 10, on_ambiguous="resubmit"))
    assert world.posts == 1


def test_a_list_that_fails_for_a_moment_decides_nothing_either(world: World) -> None:
    world.add(**REQUEST.fields())
    world.faults = {"list": "fails"}
    with pytest.raises(exceptions.SoraServerError):
        submit(world, attempt(world, since=world.now - 10))
    assert submit(world, attempt(world, since=world.now - 10)).id == "video_1"
    assert world.posts == 0


def test_a_server_that_is_down_for_a_moment_decides_nothing(world: World) -> None:
    store = Store(world)
    dies(world, store)

    def down(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("down")

    with (
        client(world, transport=httpx.MockTransport(down)) as connection,
        pytest.raises(exceptions.SoraConnectionError),
    ):
        submit_once(connection, REQUEST, attempt(world, store))


def test_a_worker_whose_clock_is_behind_finds_the_job_too(world: World) -> None:
    store = Store(world)
    dies(world, store)
    store.values["sora_video_0"]["intended_at"] += 400
    assert submit(world, attempt(world, store)).id == "video_1"


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
def test_a_server_that_is_not_itself_does_not_make_a_video_gone(world: World, body: bytes) -> None:
    store = Store(world)
    first = submit(world, attempt(world, store))

    def elsewhere(_: httpx.Request) -> httpx.Response:
        return httpx.Response(404, content=body)

    with (
        client(world, transport=httpx.MockTransport(elsewhere)) as connection,
        pytest.raises(exceptions.SoraConnectionError, match="may still be there"),
    ):
        submit_once(connection, REQUEST, attempt(world, store))
    assert submit(world, attempt(world, store)).id == first.id


def test_a_refused_request_leaves_what_was_remembered(world: World) -> None:
    store = Store(world)
    submit(world, attempt(world, store))
    before = dict(store.values)
    world.jobs[1]["status"] = "failed"
    world.faults = {"post": "refused"}
    with pytest.raises(exceptions.SoraRateLimitError):
        submit(world, attempt(world, store))
    assert store.values == before


# 1: a list that shows the job in other words


@pytest.mark.parametrize("shows", REWORDED.values(), ids=REWORDED)
@pytest.mark.parametrize("times", MISTIMED.values(), ids=MISTIMED)
def test_a_job_is_known_in_whatever_words_its_server_shows_it(
    world: World, shows: Callable[[Job], Job], times: Callable[[Job], Job]
) -> None:
    store, request = Store(world), REQUEST.model_copy(update={"prompt": PROMPT})
    world.shows = lambda job: times(shows(job))
    dies(world, store, request=request)
    assert submit(world, attempt(world, store), request).id == "video_1"
    assert world.posts == 1


@pytest.mark.parametrize("shows", UNCLEAR.values(), ids=UNCLEAR)
def test_what_may_be_its_own_stops_it_from_paying_again(world: World, shows: Callable[[Job], Job]) -> None:
    store, request = Store(world), REQUEST.model_copy(update={"prompt": PROMPT})
    world.shows = shows
    dies(world, store, request=request)
    with pytest.raises(exceptions.SoraUndecidedError, match="video_1"):
        submit(world, attempt(world, store), request)
    assert world.posts == 1


def test_a_server_that_does_not_tell_the_time_shows_what_is_new_by_what_it_showed_before(world: World) -> None:
    store = Store(world)
    world.tells_time, world.ahead = False, -120.0
    dies(world, store)
    assert submit(world, attempt(world, store)).id == "video_1"


def empty(world: World) -> None:
    world.arranges = lambda _: []


def repeats(world: World) -> None:
    """It says that more follows, and repeats its first page."""
    world.page_length = 1
    world.arranges = lambda jobs: [jobs[-1]] * 2


def forgets(world: World) -> None:
    world.arranges = lambda _: [{**world.jobs[0], "id": "another", "prompt": "a bird", "status": "failed"}]


@pytest.mark.parametrize("breaks", [empty, repeats, forgets])
def test_a_list_that_is_not_complete_does_not_say_that_there_is_no_job(
    world: World, breaks: Callable[[World], None]
) -> None:
    store = Store(world)
    dies(world, store)
    breaks(world)
    with pytest.raises(exceptions.SoraUndecidedError, match="list"):
        submit(world, attempt(world, store))
    assert world.posts == 1


def test_a_list_that_never_ends_is_read_up_to_a_bound(world: World) -> None:
    store = Store(world)
    dies(world, store)
    world.arranges = lambda _: [{**world.jobs[0], "id": f"{world.now} {n}", "status": "failed"} for n in range(300)]
    world.requests.clear()
    with pytest.raises(exceptions.SoraUndecidedError, match="could not be read to its end"):
        submit(world, attempt(world, store))
    assert len(world.requests) == 4 * 20
    assert world.limits == {"100"}


@pytest.mark.parametrize("says_more", [True, False])
def test_a_job_on_a_later_page_is_found(world: World, says_more: bool) -> None:
    store = Store(world)
    world.says_more = says_more
    dies(world, store)
    for _ in range(150):
        world.add(prompt="later", model="wan")
    world.requests.clear()
    assert submit(world, attempt(world, store)).id == "video_1"
    assert len(world.requests) == (2 if says_more else 3)  # where it does not say, an empty page is the end


def test_a_long_list_is_read_as_far_as_it_can_hold_anything_new() -> None:
    world = World()
    for _ in range(1000):
        world.add(prompt="old", model="wan")
        world.now += 60
    store = Store(world)
    dies(world, store, "dies before")
    world.requests.clear()
    submit(world, attempt(world, store))
    assert [request.split()[0] for request in world.requests] == ["GET", "GET", "POST"]  # twice, to be sure
    assert world.posts == 2


def test_one_request_more_is_all_that_a_submission_costs(world: World) -> None:
    submit(world, attempt(world, Store(world)))
    assert [request.split()[0] for request in world.requests] == ["GET", "POST"]


def test_without_a_list_there_is_a_submission_all_the_same(world: World) -> None:
    world.lists = False
    assert submit(world, attempt(world, Store(world))).id == "video_1"


def test_a_job_that_shows_late_is_found(world: World) -> None:
    world.lag, world.faults = 6.0, {"post": "answer lost"}
    assert submit(world, attempt(world, Store(world))).id == "video_1"


def test_jobs_of_others_are_no_reason_to_stop_where_the_server_is_known_to_show_this_prompt(world: World) -> None:
    world.add(**REQUEST.fields(), status="completed")
    store = Store(world)
    dies(world, store, "dies before")
    world.add(prompt="a dog", model="wan")
    submit(world, attempt(world, store))
    assert world.posts == 2


def test_a_job_whose_prompt_is_known_shows_that_the_server_shows_prompts_too(world: World) -> None:
    xcom = XCom(world, jobs={7: "video_1"})
    world.add(**REQUEST.fields(), status="completed")
    store = Store(world)
    dies(world, store, "dies before", CreateVideo(prompt="another", model="wan"))
    world.add(prompt="of somebody else", model="wan")
    submit(world, attempt(world, store, claims=xcom.of(0)), CreateVideo(prompt="another", model="wan"))
    assert world.posts == 2


# 2: a source, and what was known before, is never the result


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
        video = submit(world, attempt(world, since=world.now - 10), request_)
    except exceptions.SoraUndecidedError:
        return
    assert video.id != "video_1"


def test_last_months_video_is_not_adopted_on_a_server_without_times(world: World) -> None:
    world.add(**REQUEST.fields(), status="completed")
    world.shows = MISTIMED["none"]
    store = Store(world)
    dies(world, store, "dies before")
    assert submit(world, attempt(world, store)).id == "video_2"


# 3: refused is not lost


def test_busy_is_no_lost_answer(world: World) -> None:
    world.add(**REQUEST.fields())  # another task's
    store = Store(world)
    world.faults = {"post": "busy"}
    with pytest.raises(exceptions.SoraServerError):
        submit(world, attempt(world, store))
    assert submit(world, attempt(world, store)).id == "video_2"


def test_what_another_task_has_is_not_adopted(world: World) -> None:
    xcom = XCom(world, jobs={7: "video_1"})
    world.add(**REQUEST.fields())
    world.add(**REQUEST.fields())
    assert submit(world, attempt(world, since=world.now - 10, claims=xcom.of(0))).id == "video_2"


# 4: mapped siblings with one prompt


def test_a_sibling_whose_job_was_taken_takes_the_other(world: World) -> None:
    """The one retries while the other's answer is under way."""
    xcom, stores = XCom(world), [Store(world), Store(world)]
    dies_as(world, xcom, stores, 0)
    world.now += 300
    taken: list[str] = []

    def meanwhile(step: str) -> None:
        if step == "answer" and world.posts == 2 and not taken:
            taken.append("")
            taken[0] = submit(world, attempt(world, stores[0], claims=xcom.of(0))).id

    world.at = meanwhile
    mine = submit(world, attempt(world, stores[1], claims=xcom.of(1))).id
    assert sorted([mine, *taken]) == ["video_1", "video_2"]
    assert world.posts == 2


def dies_as(world: World, xcom: XCom, stores: list[Store], index: int) -> None:
    world.faults = {"post": "dies after"}
    with pytest.raises(DiedError):
        submit(world, attempt(world, stores[index], claims=xcom.of(index)))


@pytest.mark.parametrize("with_store", [True, False])
def test_five_that_are_killed_after_the_post_have_five_jobs(world: World, with_store: bool) -> None:
    xcom, stores, begin = XCom(world), [Store(world) for _ in range(5)], world.now
    for index in range(5):
        dies_as(world, xcom, stores, index)
    world.now += 300
    found = []
    for index in range(5):
        xcom.begin_try(index)
        known: dict[str, Any] = {"store": stores[index]} if with_store else {"since": begin}
        found.append(submit(world, attempt(world, **known, claims=xcom.of(index))).id)
    assert sorted(found) == [f"video_{n}" for n in range(1, 6)]
    assert world.posts == 5


# 6: behind a gateway that answers 503 with Retry-After, and passes the request on


def test_a_gateway_that_accepts_and_refuses_is_paid_at_most_twice(world: World) -> None:
    store = Store(world)
    for _ in range(4):
        world.at = lambda step: world.faults.update(post="not now, accepted") if step == "request" else None
        with contextlib.suppress(exceptions.SoraError):
            submit(world, attempt(world, store))
        world.now += 300
    assert world.posts == 1


def test_a_refusal_with_retry_after_is_sent_again_after_that_time(world: World) -> None:
    slept: list[float] = []
    world.faults = {"post": "not now"}
    assert submit(world, attempt(world, Store(world), sleep=slept.append)).id == "video_1"
    assert (world.posts, slept[0]) == (2, 5.0)


@pytest.mark.parametrize(("fault", "posts"), [("not for 30 s", 2), ("not for 31 s", 1)])
def test_a_refusal_for_longer_than_30_s_is_left_to_airflows_retry(world: World, fault: str, posts: int) -> None:
    world.faults = {"post": fault}
    with contextlib.suppress(exceptions.SoraServerError):
        submit(world, attempt(world, Store(world)))
    assert world.posts == posts


def test_refusals_are_waited_for_half_a_minute_altogether(world: World) -> None:
    world.at = lambda step: world.faults.update(post="not for 20 s") if step == "request" else None
    with pytest.raises(exceptions.SoraServerError):
        submit(world, attempt(world, Store(world)))
    assert world.posts == 2


@pytest.mark.parametrize("risky", [{"on_ambiguous": "resubmit"}, {"was_cleared": True}])
def test_a_doubt_about_what_this_try_has_sent_is_waived_by_nothing(world: World, risky: dict[str, Any]) -> None:
    """Neither by a Clear, which came before, nor by the choice to risk it, which is for the next try."""
    world.shows = UNCLEAR["no prompt"]
    world.at = lambda step: world.faults.update(post="not now, accepted") if step == "request" else None
    with pytest.raises(exceptions.SoraError):
        submit(world, attempt(world, since=world.now - 10, **risky))
    assert world.posts == 1


def test_the_id_is_logged_before_anything_is_done_with_it(world: World) -> None:
    lines: list[str] = []
    world.faults = {"id": "dies before"}
    with pytest.raises(DiedError):
        submit(world, attempt(world, Store(world), log=lambda line, *of: lines.append(line % of)))
    assert lines == ["Video video_1: accepted"]


def test_each_time_that_the_client_sends_again_the_intent_is_written_first(world: World) -> None:
    store, written = Store(world), list[int]()
    world.at = lambda step: written.append(world.posts) if step == "store" else None
    world.faults = {"post": "refused"}
    with client(world, policy=RequestRetryPolicy(attempts=2, base_seconds=0)) as connection:
        submit_once(connection, REQUEST, attempt(world, store))
    assert written == [0, 1, 2]


@pytest.mark.parametrize("risky", [{"on_ambiguous": "resubmit"}, {"was_cleared": True}])
def test_what_is_sent_in_spite_of_a_doubt_is_an_intent_of_its_own(world: World, risky: dict[str, Any]) -> None:
    """What was there before, and caused the doubt, is not its job."""
    world.add(**REQUEST.fields())
    world.shows = lambda job: {**job, "created_at": None}
    world.faults = {"post": "answer lost"}
    assert submit(world, attempt(world, Store(world), since=world.now - 10, **risky)).id == "video_2"


def test_after_a_refusal_a_list_that_cannot_be_read_stops_nobody_once(world: World) -> None:
    world.lists = False
    world.at = lambda step: world.faults.update(post="not now") if step == "request" and world.posts < 2 else None
    store = Store(world)
    with pytest.raises(exceptions.SoraUndecidedError, match="does not tell"):
        submit(world, attempt(world, store))
    assert world.posts == 2


def test_refusals_for_ever_end(world: World) -> None:
    world.at = lambda step: world.faults.update(post="not now") if step == "request" else None
    with pytest.raises(exceptions.SoraConnectionError, match="was refused 5 times"):
        submit(world, attempt(world, Store(world)))


# 7: the list is asked before a job is called gone


def test_a_job_that_answers_404_while_the_list_shows_it_is_not_paid_again(world: World) -> None:
    store = Store(world)
    first = submit(world, attempt(world, store))
    world.at = lambda step: world.faults.update(retrieve="404") if step == "request" else None
    assert submit(world, attempt(world, store)).id == first.id
    assert world.posts == 1


def test_a_404_is_asked_again_after_two_and_five_seconds(world: World) -> None:
    store, slept = Store(world), list[float]()
    submit(world, attempt(world, store))
    world.jobs[1]["id"] = "another"
    submit(world, attempt(world, store, sleep=slept.append))
    assert slept == [2.0, 5.0, 0.0]


@pytest.mark.parametrize(("answers", "posts"), [(1, 1), (2, 1), (3, 2)])
def test_without_a_list_a_job_is_gone_after_three_404s(world: World, answers: int, posts: int) -> None:
    store = Store(world)
    submit(world, attempt(world, store))
    world.lists, left = False, iter([True] * answers)
    world.at = lambda step: world.faults.update(retrieve="404") if step == "request" and next(left, False) else None
    submit(world, attempt(world, store))
    assert world.posts == posts


def test_a_list_that_fails_for_a_moment_calls_no_job_gone(world: World) -> None:
    store = Store(world)
    submit(world, attempt(world, store))
    world.at = lambda step: world.faults.update(retrieve="404", list="fails") if step == "request" else None
    with pytest.raises(exceptions.SoraConnectionError, match="may still be there"):
        submit(world, attempt(world, store))
    assert world.posts == 1


@pytest.mark.parametrize("breaks", [repeats, lambda world: setattr(world, "lists", None)])
def test_a_list_that_does_not_tell_calls_no_job_gone(world: World, breaks: Callable[[World], None]) -> None:
    store = Store(world)
    submit(world, attempt(world, store))
    world.jobs[1]["id"] = "another"
    breaks(world)
    with pytest.raises(exceptions.SoraConnectionError, match="its list does not tell"):
        submit(world, attempt(world, store))
    assert world.posts == 1


def test_what_a_sibling_had_before_its_clear_is_nobodys_job(world: World) -> None:
    """It is new since a sibling's intent, but no other task may have it."""
    xcom, stores = XCom(world), [Store(world) for _ in range(2)]
    first = submit(world, attempt(world, stores[0], claims=xcom.of(0)))
    attempt(world, stores[0]).mark("done")
    xcom.begin_try(0)
    xcom.claims[7] = {Fingerprint.of(REQUEST).prompt.text: Claim(index=7, intended_at=world.now - 50)}
    second = submit(world, attempt(world, stores[0], generation=1, claims=xcom.of(0)))
    dies(world, stores[1], "dies before")
    mine = submit(world, attempt(world, stores[1], claims=xcom.of(1)))
    assert len({first.id, second.id, mine.id}) == 3


# 8: a Clear


def test_a_clear_after_an_unfinished_submission_goes_on_with_it(world: World) -> None:
    store = Store(world)
    dies(world, store)
    assert submit(world, attempt(world, store, generation=1)).id == "video_1"
    assert world.posts == 1


def test_a_clear_with_another_prompt_is_another_wish(world: World) -> None:
    store = Store(world)
    dies(world, store)
    submit(world, attempt(world, store, generation=1), CreateVideo(prompt="a cat at noon"))
    assert world.posts == 2


@pytest.mark.parametrize(("status", "posts"), [("queued", 2), ("completed", 1), ("gone", 2), ("failed", 2)])
def test_a_clear_of_a_job_that_was_waited_for_takes_only_a_finished_video(
    world: World, status: str, posts: int
) -> None:
    """A user who clears a waiting task wants another video; one that a broken triggerer left behind is not lost."""
    store = Store(world)
    submit(world, attempt(world, store))
    attempt(world, store).mark("waiting")
    world.jobs[1].update({"id": "another"} if status == "gone" else {"status": status})
    submit(world, attempt(world, store, generation=1))
    assert world.posts == posts


def test_a_clear_of_a_wait_without_an_id_makes_a_new_video(world: World) -> None:
    store = Store(world)
    dies(world, store)
    attempt(world, store).mark("waiting")
    assert submit(world, attempt(world, store, generation=1)).id == "video_2"


def test_a_gateways_404_does_not_say_that_a_job_was_not_finished(world: World) -> None:
    store = Store(world)
    submit(world, attempt(world, store))
    attempt(world, store).mark("waiting")
    elsewhere = httpx.MockTransport(lambda _: httpx.Response(404, text="default backend - 404"))
    with (
        client(world, transport=elsewhere) as connection,
        pytest.raises(exceptions.SoraConnectionError, match="may still be there"),
    ):
        submit_once(connection, REQUEST, attempt(world, store, generation=1))
    assert world.posts == 1


def test_a_clear_after_the_user_was_told_is_their_decision(world: World) -> None:
    store = Store(world)
    world.shows = UNCLEAR["no prompt"]
    dies(world, store)
    with pytest.raises(exceptions.SoraUndecidedError):
        submit(world, attempt(world, store))
    with pytest.raises(exceptions.SoraUndecidedError):  # a retry is not
        submit(world, attempt(world, store))
    assert submit(world, attempt(world, store, generation=1)).id == "video_2"


def test_a_clear_of_a_job_that_was_left_running_goes_on_with_it(world: World) -> None:
    store = Store(world)
    first = submit(world, attempt(world, store))
    attempt(world, store).mark("done")
    attempt(world, store).mark("open")
    assert submit(world, attempt(world, store, generation=1)).id == first.id


@pytest.mark.parametrize(("status", "ids"), [("queued", ["video_1"]), ("completed", ["video_1", "video_2"])])
def test_a_clear_without_a_store_goes_on_with_a_job_that_still_runs(world: World, status: str, ids: list[str]) -> None:
    begin = world.now
    dies(world, None)
    world.jobs[1]["status"] = status
    submit(world, attempt(world, since=begin, was_cleared=True))
    assert [job["id"] for job in world.jobs[1:]] == ids


# 13: a redirected POST is looked for: `redirected accepted` above; and one that was not accepted


@pytest.mark.parametrize("fault", ["redirected unaccepted", "fails unaccepted"])
def test_what_was_perhaps_accepted_is_left_to_the_next_try(world: World, fault: str) -> None:
    store = Store(world)
    world.add(**REQUEST.fields(), status="completed")  # shows that the list is worth something
    dies(world, store, fault)
    assert submit(world, attempt(world, store)).id == "video_2"


# 20: junk in the store


@pytest.mark.parametrize(
    "junk",
    ["junk", 7, [], {}, {"generation": "x"}, {"version": 2, "generation": 0}, {"version": 99}],
)
def test_junk_in_the_store_is_named_and_nothing_is_paid(world: World, junk: Any) -> None:
    store = Store(world, {"sora_video_0": junk})
    with pytest.raises(exceptions.SoraUndecidedError, match="the task state store has under 'sora_video_0'"):
        submit(world, attempt(world, store))
    attempt(world, store).mark("done")  # does not stop a finished video
    assert (world.posts, store.values["sora_video_0"]) == (0, junk)


def test_another_source_makes_another_video(world: World) -> None:
    """A step before was made anew: what was made from its first video is not what is wanted."""
    store = Store(world)
    submit(world, attempt(world, store), RemixVideo(prompt="a cat", video_id="one"))
    assert submit(world, attempt(world, store), RemixVideo(prompt="a cat", video_id="two")).id == "video_2"
