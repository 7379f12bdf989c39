"""What a list says about a request: each rule by itself."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.submission.matching import (
    Decision,
    Found,
    Nothing,
    Reading,
    Since,
    Undecided,
    Wanted,
    decide,
    reaches,
)
from airflow_provider_sora.submission.prompts import PromptDigest
from airflow_provider_sora.submission.record import Fingerprint, Snapshot, id_digest, is_newest_first
from tests.submission.world import REQUEST

NOW = 100_000.0
OFFSET = 500.0
SENT_AT = NOW - 1_000  # by the worker's clock


def job(video_id: str = "mine", **fields: Any) -> Video:
    """A job that was made just after the request was sent, and shows all of it."""
    known = {"prompt": "a cat", "model": "wan", "seconds": "4", "size": "64x64", "status": "queued"}
    return Video.model_validate({"id": video_id, "created_at": SENT_AT + OFFSET + 1, **known, **fields})


OLD = job("old", prompt="a dog", created_at=1, status="completed")


def snapshot(*videos: Video, complete: bool = True) -> Snapshot:
    return Snapshot.of(videos or [OLD], complete=complete)


def found(*videos: Video, reaches_: bool = True, offset: float | None = OFFSET, **wanted: Any) -> Decision:
    """What a list of these says, which held `OLD` before."""
    taken = wanted.pop("snapshot", snapshot())
    asked = Wanted(
        **{
            "fingerprint": Fingerprint.of(REQUEST),
            "prompt": "a cat",
            "intents": (Since(SENT_AT, taken),),
            **wanted,
        }
    )
    return decide(asked, Reading(videos, reaches=reaches_, now=NOW, clock_offset_seconds=offset))


def test_the_one_new_job_with_the_prompt_is_its_own() -> None:
    assert found(job(), OLD) == Found((job(),))
    assert found(job(), OLD, reaches_=False) == Found((job(),))


@pytest.mark.parametrize(
    ("videos", "more", "why"),
    [
        ([], {}, "the server's list is empty"),
        ([OLD], {"reaches_": False}, "the server's list could not be read to its end"),
        ([job("x", status="failed")], {}, "nothing of what it showed before"),
        ([job("x", prompt=None), OLD], {}, "it may be one of 1 jobs that are new on the server: x"),
        ([job("x", prompt="a dog"), OLD], {}, "it may be one of 1 jobs"),
        ([job("x"), job("y"), OLD], {}, "2 jobs on the server could be its own: x, y"),
    ],
)
def test_what_is_not_sure_is_undecided(videos: list[Video], more: dict[str, Any], why: str) -> None:
    decision = found(*videos, **more)
    assert isinstance(decision, Undecided)
    assert why in decision.why


def test_a_complete_list_with_nothing_new_says_that_there_is_no_job() -> None:
    assert found(OLD) == Nothing()


@pytest.mark.parametrize(
    "known",
    [
        {"not_it": {id_digest("mine")}},
        {"snapshot": snapshot(OLD, job())},
    ],
)
def test_what_was_known_before_is_never_the_result(known: dict[str, Any]) -> None:
    assert found(job(), OLD, **known) == Nothing()


@pytest.mark.parametrize(
    ("change", "of_use"),
    [
        ({"status": "in_progress"}, True),
        ({"status": "completed"}, True),
        ({"status": "completed", "expires_at": NOW + OFFSET + 1}, True),
        ({"status": "completed", "expires_at": NOW + OFFSET}, False),
        ({"status": "failed"}, False),
        ({"status": "cancelled"}, False),
    ],
)
def test_only_a_job_that_can_be_had_is_its_own(change: dict[str, Any], of_use: bool) -> None:
    assert isinstance(found(job(**change), OLD), Found if of_use else Nothing)


def test_a_finished_video_is_not_what_a_cleared_task_without_a_record_looks_for() -> None:
    assert found(job(status="completed"), OLD, only_running=True) == Nothing()
    assert isinstance(found(job(), OLD, only_running=True), Found)


# Model, length and size break ties, and never exclude.


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ({"model": "other"}, {"model": "openai/WAN"}),
        ({"seconds": "8"}, {"seconds": "4.0625"}),
        ({"seconds": None}, {"seconds": "4s"}),
        ({"size": "64x48"}, {"size": "64*64"}),
        ({"size": "480p"}, {"size": "64 x 64"}),
    ],
)
def test_of_several_the_one_that_agrees_most_is_its_own(wrong: dict[str, Any], right: dict[str, Any]) -> None:
    assert found(job("x", **wrong), job("y", **right), OLD) == Found((job("y", **right),))
    assert found(job("x", **wrong), OLD) == Found((job("x", **wrong),))


def test_as_many_may_be_taken_as_tasks_look_for_one() -> None:
    assert found(job("x"), job("y"), OLD, siblings=2) == Found((job("x"), job("y")))
    assert isinstance(found(job("x"), job("y"), job("z"), OLD, siblings=2), Undecided)


# Others' jobs.


def test_other_prompts_are_others_where_the_list_shows_this_one_as_it_was_sent() -> None:
    shows_it = job("before", status="completed", created_at=1)
    assert found(job("x", prompt="a dog"), shows_it, snapshot=snapshot(shows_it)) == Nothing()
    other_model = job("before", status="completed", created_at=1, model="dall-e")
    assert isinstance(found(job("x", prompt="a dog"), other_model, snapshot=snapshot(other_model)), Undecided)
    no_model = job("before", status="completed", created_at=1, model=None)
    assert found(job("x", prompt="a dog"), no_model, snapshot=snapshot(no_model)) == Nothing()


def test_other_prompts_are_others_where_a_known_job_is_shown_as_it_was_sent() -> None:
    known = {id_digest("old"): PromptDigest.of("a dog")}
    assert found(job("x", prompt="a bird"), OLD, known=known) == Nothing()
    assert isinstance(found(job("x", prompt=None), OLD, known=known), Undecided)
    rewritten = {id_digest("old"): PromptDigest.of("dog")}
    assert isinstance(found(job("x", prompt="a bird"), OLD, known=rewritten), Undecided)
    hidden = OLD.model_copy(update={"prompt": None})
    assert isinstance(found(job("x", prompt="a bird"), hidden, known=known), Undecided)


def test_after_one_refusal_other_prompts_are_others_and_the_list_need_not_be_whole() -> None:
    assert found(job("x", prompt="a dog"), refused_once=True) == Nothing()
    assert found(reaches_=False, refused_once=True) == Nothing()
    assert isinstance(found(job("x", prompt=None), refused_once=True), Undecided)
    assert isinstance(found(job("x"), refused_once=True), Found)


# What is new.


@pytest.mark.parametrize(
    ("created_at", "decision"),
    [
        (SENT_AT + OFFSET, Found),
        (SENT_AT + OFFSET - 2, Found),
        (SENT_AT + OFFSET - 3, Undecided),
        (SENT_AT + OFFSET - 602, Undecided),
        (SENT_AT + OFFSET - 603, Nothing),
        (NOW + OFFSET + 600, Found),
        (NOW + OFFSET + 601, Undecided),
        (None, Undecided),
    ],
)
def test_without_a_snapshot_the_servers_clock_says_what_is_new(created_at: float | None, decision: type) -> None:
    assert isinstance(found(job(created_at=created_at), OLD, snapshot=None), decision)


def test_without_a_clock_nothing_is_sure_to_be_new() -> None:
    assert isinstance(found(job(), snapshot=None, offset=None), Undecided)


def test_what_a_complete_snapshot_does_not_hold_is_new_unless_its_time_contradicts() -> None:
    assert isinstance(found(job(created_at=None), OLD), Found)
    assert isinstance(found(job(created_at=SENT_AT + OFFSET - 603), OLD), Undecided)


def page(first: int, last: int) -> list[Video]:
    return [job(f"p{at}", prompt="a dog", created_at=at, status="completed") for at in range(first, last, -100)]


@pytest.mark.parametrize(
    ("created_at", "decision"),
    [
        (9_101, Found),  # among what the page held, and not on it
        (9_100, Nothing),  # of the second of its last: stood behind it
        (1, Nothing),
        (None, Undecided),
    ],
)
def test_the_order_of_a_first_page_says_what_stood_behind_it(created_at: int | None, decision: type) -> None:
    before = page(10_000, 9_000)
    taken = snapshot(*before, complete=False)
    assert isinstance(found(job(created_at=created_at), *before, snapshot=taken, offset=None), decision)


def test_within_ten_minutes_of_the_newest_nothing_is_sure_to_be_old() -> None:
    before = [job(f"p{n}", prompt="a dog", created_at=10_000 - n, status="completed") for n in range(10)]
    taken = snapshot(*before, complete=False)
    assert isinstance(found(job(created_at=9_400), *before, snapshot=taken, offset=None), Undecided)
    assert found(job(created_at=9_399), *before, snapshot=taken, offset=None) == Nothing()


def test_a_job_is_new_if_it_is_new_to_one_of_the_siblings() -> None:
    """The sibling that sent first may have left it for this task, which saw it before it sent."""
    own, sibling = Since(NOW - 10, snapshot(OLD, job())), Since(SENT_AT, snapshot(OLD))
    assert isinstance(found(job(), OLD, intents=(own, sibling)), Found)
    assert found(job(), OLD, intents=(own,)) == Nothing()


def test_what_the_list_showed_to_this_task_counts_and_not_what_it_showed_to_siblings() -> None:
    failed, own = job("x", status="failed"), Since(SENT_AT, snapshot(OLD))
    assert isinstance(found(failed, intents=(own, Since(SENT_AT))), Undecided)
    assert found(failed, intents=(Since(SENT_AT), own)) == Nothing()


def test_a_sorted_list_is_read_as_far_as_it_can_hold_anything_new() -> None:
    wanted = Wanted(Fingerprint.of(REQUEST), "a cat", (Since(9_000.0),))
    long_ago, just_now = page(10_000, 8_000), page(10_000, 9_000)
    assert reaches(wanted, long_ago, 0.0)
    assert not reaches(wanted, just_now, 0.0)
    assert not reaches(wanted, long_ago[::-1], 0.0)
    assert not reaches(wanted, long_ago, None)
    assert not reaches(wanted, [], 0.0)
    assert reaches(Wanted(wanted.fingerprint, None, (Since(9_000.0), Since(9_000.0))), long_ago, 0.0)
    assert not reaches(Wanted(wanted.fingerprint, None, (Since(9_000.0), Since(0.0))), long_ago, 0.0)


def test_a_list_counts_as_sorted_from_eight_different_times_on() -> None:
    eight = [job(f"{n}", created_at=100 - n) for n in range(8)]
    assert is_newest_first(eight)
    assert not is_newest_first(eight[:7])
    assert not is_newest_first([*eight, job("x", created_at=None)])
    assert not is_newest_first([*eight, job("x", created_at=101)])
    assert is_newest_first([*eight, job("x", created_at=93)])


def test_an_empty_list_is_no_snapshot_of_all_there_is() -> None:
    assert Snapshot.of([], complete=True) == Snapshot()
    assert snapshot().complete


def test_a_list_that_comes_whole_although_a_page_was_asked_for_is_kept_in_part() -> None:
    jobs = [job(f"{n}", created_at=10_000 - n) for n in range(301)]
    taken = Snapshot.of(jobs, complete=True)
    assert (len(taken.ids), taken.complete, taken.newest_at, taken.oldest_at) == (300, False, 10_000, 9_701)
    assert Snapshot.of(jobs[:300], complete=True).complete


def test_many_candidates_are_named_in_part() -> None:
    decision = found(*[job(f"x{n}") for n in range(12)], OLD)
    assert isinstance(decision, Undecided)
    assert decision.why.endswith("x0, x1, x2, x3, x4, x5, x6, x7, x8, x9 and 2 more")
