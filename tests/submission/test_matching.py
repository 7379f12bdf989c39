"""What a list shows about an earlier request: each rule on its own."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.submission.matching import (
    Ambiguous,
    Baseline,
    JobQuery,
    ListObservation,
    Match,
    MatchResult,
    NoMatch,
    covers_new_jobs,
    match_jobs,
)
from airflow_provider_sora.submission.prompts import PromptDigest
from airflow_provider_sora.submission.record import Fingerprint, Snapshot, id_digest
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


def match(*videos: Video, covers: bool = True, offset: float | None = OFFSET, **query: Any) -> MatchResult:
    """What a list of these shows, which held `OLD` before the request was sent."""
    before = query.pop("snapshot", snapshot())
    full_query = JobQuery(
        **{
            "fingerprint": Fingerprint.of(REQUEST),
            "prompt": "a cat",
            "baselines": (Baseline(SENT_AT, before),),
            **query,
        }
    )
    observation = ListObservation(videos, covers_new_jobs=covers, now=NOW, clock_offset_seconds=offset)
    return match_jobs(full_query, observation)


def test_the_only_new_job_with_the_prompt_matches() -> None:
    assert match(job(), OLD) == Match((job(),))
    assert match(job(), OLD, covers=False) == Match((job(),))


@pytest.mark.parametrize(
    ("videos", "more", "reason"),
    [
        ([], {}, "the server's list is empty"),
        ([OLD], {"covers": False}, "the server's list could not be read to its end"),
        ([job("x", status="failed")], {}, "no longer shows any job that it showed before"),
        ([job("x", prompt=None), OLD], {}, "one of these jobs on the server may be its own: x"),
        ([job("x", prompt="a dog"), OLD], {}, "one of these jobs on the server may be its own: x"),
        ([job("x"), job("y"), OLD], {}, "2 new jobs on the server have its prompt: x, y"),
    ],
)
def test_a_list_that_proves_nothing_is_ambiguous(videos: list[Video], more: dict[str, Any], reason: str) -> None:
    result = match(*videos, **more)
    assert isinstance(result, Ambiguous)
    assert reason in result.reason


def test_a_complete_list_without_new_jobs_has_no_match() -> None:
    assert match(OLD) == NoMatch()


@pytest.mark.parametrize(
    "known",
    [
        {"excluded_ids": {id_digest("mine")}},
        {"snapshot": snapshot(OLD, job())},
    ],
)
def test_a_job_that_was_known_before_never_matches(known: dict[str, Any]) -> None:
    assert match(job(), OLD, **known) == NoMatch()


@pytest.mark.parametrize(
    ("change", "usable"),
    [
        ({"status": "in_progress"}, True),
        ({"status": "completed"}, True),
        ({"status": "completed", "expires_at": NOW + OFFSET + 1}, True),
        ({"status": "completed", "expires_at": NOW + OFFSET}, False),
        ({"status": "failed"}, False),
        ({"status": "cancelled"}, False),
    ],
)
def test_only_a_job_that_runs_or_has_a_video_matches(change: dict[str, Any], usable: bool) -> None:
    assert isinstance(match(job(**change), OLD), Match if usable else NoMatch)


def test_a_finished_video_does_not_match_if_only_running_jobs_are_wanted() -> None:
    assert match(job(status="completed"), OLD, only_running=True) == NoMatch()
    assert match(job("done", status="completed"), job(), OLD, only_running=True) == Match((job(),))


def test_without_the_servers_clock_a_video_expires_by_the_workers_clock() -> None:
    expires_next = job(status="completed", expires_at=int(NOW) + 1)
    assert match(expires_next, OLD, offset=None) == Match((expires_next,))
    assert match(job(status="completed", expires_at=int(NOW)), OLD, offset=None) == NoMatch()


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
def test_model_length_and_size_break_ties_and_exclude_nothing(wrong: dict[str, Any], right: dict[str, Any]) -> None:
    assert match(job("x", **wrong), job("y", **right), OLD) == Match((job("y", **right),))
    assert match(job("x", **wrong), OLD) == Match((job("x", **wrong),))


def test_no_more_jobs_match_than_tasks_search_for_one() -> None:
    assert match(job("x"), job("y"), OLD, searching_tasks=2) == Match((job("x"), job("y")))
    assert isinstance(match(job("x"), job("y"), job("z"), OLD, searching_tasks=2), Ambiguous)


def test_different_prompts_are_other_tasks_if_the_list_shows_this_prompt() -> None:
    shows_it = job("before", status="completed", created_at=1)
    assert match(job("x", prompt="a dog"), shows_it, snapshot=snapshot(shows_it)) == NoMatch()
    other_model = job("before", status="completed", created_at=1, model="dall-e")
    assert isinstance(match(job("x", prompt="a dog"), other_model, snapshot=snapshot(other_model)), Ambiguous)
    no_model = job("before", status="completed", created_at=1, model=None)
    assert match(job("x", prompt="a dog"), no_model, snapshot=snapshot(no_model)) == NoMatch()


def test_different_prompts_are_other_tasks_if_the_list_shows_the_prompt_of_a_known_job() -> None:
    known = {id_digest("old"): PromptDigest.of("a dog")}
    assert match(job("x", prompt="a bird"), OLD, known_prompts=known) == NoMatch()
    assert isinstance(match(job("x", prompt=None), OLD, known_prompts=known), Ambiguous)
    rewritten = {id_digest("old"): PromptDigest.of("dog")}
    assert isinstance(match(job("x", prompt="a bird"), OLD, known_prompts=rewritten), Ambiguous)
    hidden = OLD.model_copy(update={"prompt": None})
    assert isinstance(match(job("x", prompt="a bird"), hidden, known_prompts=known), Ambiguous)


def test_after_one_refusal_only_a_job_that_may_match_is_ambiguous() -> None:
    assert match(job("x", prompt="a dog"), refused_once=True) == NoMatch()
    assert match(covers=False, refused_once=True) == NoMatch()
    assert isinstance(match(job("x", prompt=None), refused_once=True), Ambiguous)
    assert isinstance(match(job("x"), refused_once=True), Match)


@pytest.mark.parametrize(
    ("created_at", "result"),
    [
        (SENT_AT + OFFSET, Match),
        (SENT_AT + OFFSET - 2, Match),
        (SENT_AT + OFFSET - 3, Ambiguous),
        (SENT_AT + OFFSET - 602, Ambiguous),
        (SENT_AT + OFFSET - 603, NoMatch),
        (NOW + OFFSET + 600, Match),
        (NOW + OFFSET + 601, Ambiguous),
        (None, Ambiguous),
    ],
)
def test_without_a_snapshot_a_job_is_new_by_the_servers_clock(created_at: float | None, result: type) -> None:
    assert isinstance(match(job(created_at=created_at), OLD, snapshot=None), result)


def test_without_a_snapshot_and_a_clock_no_job_is_certainly_new() -> None:
    assert isinstance(match(job(), snapshot=None, offset=None), Ambiguous)


def test_a_job_missing_from_a_complete_snapshot_is_new_unless_its_time_contradicts() -> None:
    assert isinstance(match(job(created_at=None), OLD), Match)
    assert isinstance(match(job(created_at=SENT_AT + OFFSET - 603), OLD), Ambiguous)


def page(first: int, last: int) -> list[Video]:
    return [job(f"p{at}", prompt="a dog", created_at=at, status="completed") for at in range(first, last, -100)]


@pytest.mark.parametrize(
    ("created_at", "result"),
    [
        (9_101, Match),  # within the times of the page, and not on it
        (9_100, NoMatch),  # as old as the last job of the page: was behind it
        (1, NoMatch),
        (None, Ambiguous),
    ],
)
def test_the_order_of_the_first_page_shows_which_jobs_were_behind_it(created_at: int | None, result: type) -> None:
    listed = page(10_000, 9_000)
    before = snapshot(*listed, complete=False)
    assert isinstance(match(job(created_at=created_at), *listed, snapshot=before, offset=None), result)


def test_within_ten_minutes_of_the_newest_job_of_the_snapshot_no_job_is_certainly_old() -> None:
    listed = [job(f"p{n}", prompt="a dog", created_at=10_000 - n, status="completed") for n in range(10)]
    before = snapshot(*listed, complete=False)
    assert isinstance(match(job(created_at=9_400), *listed, snapshot=before, offset=None), Ambiguous)
    assert match(job(created_at=9_399), *listed, snapshot=before, offset=None) == NoMatch()


def test_a_job_is_new_if_it_is_new_to_one_of_the_mapped_tasks() -> None:
    """The sibling that sent first may have left it to this task, whose own snapshot already holds it."""
    own, sibling = Baseline(NOW - 10, snapshot(OLD, job())), Baseline(SENT_AT, snapshot(OLD))
    assert isinstance(match(job(), OLD, baselines=(own, sibling)), Match)
    assert match(job(), OLD, baselines=(own,)) == NoMatch()


def test_a_list_is_believed_by_this_tasks_own_snapshot_and_not_by_a_siblings() -> None:
    failed, own = job("x", status="failed"), Baseline(SENT_AT, snapshot(OLD))
    assert isinstance(match(failed, baselines=(own, Baseline(SENT_AT))), Ambiguous)
    assert match(failed, baselines=(Baseline(SENT_AT), own)) == NoMatch()


def test_a_sorted_list_is_read_as_far_as_it_can_hold_new_jobs() -> None:
    query = JobQuery(Fingerprint.of(REQUEST), "a cat", (Baseline(9_000.0),))
    long_ago, just_now = page(10_000, 8_000), page(10_000, 9_000)
    assert covers_new_jobs(query, long_ago, 0.0)
    assert not covers_new_jobs(query, just_now, 0.0)
    assert not covers_new_jobs(query, long_ago[::-1], 0.0)
    assert not covers_new_jobs(query, long_ago, None)
    assert not covers_new_jobs(query, [], 0.0)
    assert covers_new_jobs(JobQuery(query.fingerprint, None, (Baseline(9_000.0), Baseline(9_000.0))), long_ago, 0.0)
    assert not covers_new_jobs(JobQuery(query.fingerprint, None, (Baseline(9_000.0), Baseline(0.0))), long_ago, 0.0)


@pytest.mark.parametrize(
    ("count", "end"), [(10, "x7, x8, x9"), (11, "x7, x8, x9 and 1 more"), (12, "x7, x8, x9 and 2 more")]
)
def test_only_the_first_ten_candidates_are_named(count: int, end: str) -> None:
    result = match(*[job(f"x{n}") for n in range(count)], OLD)
    assert isinstance(result, Ambiguous)
    assert result.reason.endswith(f": x0, x1, x2, x3, x4, x5, x6, {end}")


def test_only_the_first_100_characters_of_an_id_are_named() -> None:
    result = match(job("x" * 101, prompt=None), OLD)
    assert isinstance(result, Ambiguous)
    assert result.reason.endswith(f": {'x' * 100}")
