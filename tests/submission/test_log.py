"""The task's log: which decision was made about the job, and why."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_sora.api.protocol.requests import CreateVideo, JobRequest, RemixVideo
from tests.submission.list_variants import UNCLEAR
from tests.submission.world import REQUEST, Store, World, attempt, fail_a_try, submit


def log_of(world: World, store: Store | None, request: JobRequest = REQUEST, **fields: Any) -> list[str]:
    """The log lines of a try."""
    lines: list[str] = []
    submit(world, attempt(world, store, log=lambda line, *of: lines.append(line % of), **fields), request)
    return lines


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({}, "Video video_1 of an earlier try is queued; reconnecting to it"),
        ({"id": "another"}, "Video video_1 no longer exists on the server; submitting a new job"),
        ({"status": "failed"}, "Video video_1 of an earlier try has the status failed; submitting a new job"),
        (
            {"status": "completed", "expires_at": 1},
            "Video video_1 of an earlier try has the status expired; submitting a new job",
        ),
    ],
    ids=["running", "gone", "failed", "expired"],
)
def test_the_status_of_the_earlier_job_is_logged(world: World, change: dict[str, Any], line: str) -> None:
    store = Store(world)
    submit(world, attempt(world, store))
    world.jobs[1].update(change)
    assert log_of(world, store)[0] == line


def test_a_re_attached_job_is_logged(world: World) -> None:
    store = Store(world)
    fail_a_try(world, store)
    assert log_of(world, store) == ["Video video_1 is the job of an earlier request; re-attaching to it"]


def test_a_create_that_is_sent_again_is_logged(world: World) -> None:
    store = Store(world)
    fail_a_try(world, store, "dies before")
    assert log_of(world, store) == [
        "No job of an earlier request is on the server's list; submitting",
        "Video video_1: accepted",
    ]


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"was_cleared": True}, "Submitting a new job because the task was cleared; an earlier job may run: one of"),
        ({"on_ambiguous": "resubmit"}, "Submitting again although an earlier request may have been accepted: one of"),
    ],
)
def test_a_doubt_that_is_waived_is_logged(world: World, fields: dict[str, Any], line: str) -> None:
    world.add(**REQUEST.fields())
    world.shows = UNCLEAR["no prompt"]
    assert log_of(world, None, may_have_submitted_since=world.now - 10, **fields)[0].startswith(line)


@pytest.mark.parametrize(
    ("stage", "line"),
    [
        ("open", "The task was cleared before it had used video video_1; resuming with it"),
        ("done", "The task was cleared after video video_1, or its prompt has changed; submitting a new job"),
    ],
)
def test_what_a_clear_does_is_logged(world: World, stage: Any, line: str) -> None:
    store = Store(world)
    submit(world, attempt(world, store))
    attempt(world, store).mark(stage)
    assert log_of(world, store, generation=1)[0] == line


def test_a_clear_of_a_submission_without_an_id_is_logged(world: World) -> None:
    store = Store(world)
    fail_a_try(world, store)
    line = "The task was cleared after its submission, or its prompt has changed; submitting a new job"
    assert log_of(world, store, CreateVideo(prompt="a cat at noon"), generation=1)[0] == line


def test_another_source_is_logged(world: World) -> None:
    store = Store(world)
    submit(world, attempt(world, store), RemixVideo(prompt="a cat", video_id="one"))
    lines = log_of(world, store, RemixVideo(prompt="a cat", video_id="two"))
    assert lines[0] == "The earlier try used another source video; submitting a new job"


def test_a_list_that_fails_after_a_lost_response_is_logged(world: World) -> None:
    lines: list[str] = []
    world.lists, world.faults = False, {"post": "no response"}
    with pytest.raises(Exception, match="may have accepted"):
        submit(world, attempt(world, Store(world), log=lambda line, *of: lines.append(line % of)))
    [line] = lines
    assert line.startswith("The response was lost, and the server's list cannot be read: ")
