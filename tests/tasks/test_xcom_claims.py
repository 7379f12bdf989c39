"""What tasks publish about their jobs for each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_sora.operators.sora import SoraCreateVideoOperator
from airflow_provider_sora.submission.claims import Claim, OwnedJob
from airflow_provider_sora.submission.prompts import PromptDigest
from airflow_provider_sora.tasks.xcom_claims import XComClaims
from tests.tasks.task_context import Ti


@dataclass
class Run:
    """The tasks of a DAG run, and their XCom."""

    xcom: dict[tuple[str, int, str], Any] = field(default_factory=dict)

    def claims(self, task_id: str = "create", index: int = -1, step: int = 0) -> XComClaims:
        tasks = [create("create"), create("other"), SimpleNamespace(task_id="a transfer")]
        context: Any = {"ti": Ti(task_id=task_id, map_index=index, xcom=self.xcom), "dag": SimpleNamespace(tasks=tasks)}
        return XComClaims(context, step)


def create(task_id: str) -> Any:
    return SoraCreateVideoOperator(task_id=task_id, prompt="a cat")


def ids(claims: XComClaims) -> set[str]:
    return {job.video_id for job in claims.jobs_of_others()}


def test_each_task_of_the_dag_knows_the_jobs_of_the_others() -> None:
    run = Run()
    run.claims("other").publish_job(OwnedJob(video_id="one"))
    run.claims("other", step=1).publish_job(OwnedJob(video_id="two"))
    run.claims("create", 3).publish_job(OwnedJob(video_id="three"))
    assert ids(run.claims("create", 4)) == {"one", "two", "three"}
    assert ids(run.claims("other")) == {"three"}
    assert ids(run.claims("other", step=1)) == {"one", "three"}
    assert ids(run.claims("other", step=2)) == {"one", "two", "three"}


def test_the_jobs_of_the_run_before_are_known_too() -> None:
    earlier = OwnedJob(video_id="one", prompt=PromptDigest.of("a cat"))
    before = {"other": {"index": -1, "jobs": [earlier.model_dump(mode="json")]}}
    alone: Any = {"ti": Ti(before=before), "dag": SimpleNamespace(tasks=[create("other")])}
    assert XComClaims(alone, 0).jobs_of_others() == [earlier]


def test_a_step_that_is_submitted_again_has_no_steps_after_it() -> None:
    run = Run()
    run.claims().publish_job(OwnedJob(video_id="one"))
    run.claims(step=1).publish_job(OwnedJob(video_id="two"))
    run.claims().publish_job(OwnedJob(video_id="three"))
    assert ids(run.claims("other")) == {"three"}


def test_mapped_siblings_see_each_others_claims_of_one_step_and_prompt() -> None:
    run, claim = Run(), Claim(index=1, intended_at=5.0, video_id="one")
    run.claims(index=1).publish("digest of a prompt", claim)
    assert run.claims(index=0).siblings("digest of a prompt") == [claim]
    assert run.claims(index=1).siblings("digest of a prompt") == []
    assert run.claims(index=0).siblings("another") == []
    assert run.claims(index=0, step=1).siblings("digest of a prompt") == []


def test_a_task_that_is_not_mapped_has_no_siblings_and_publishes_no_claim() -> None:
    run = Run()
    run.claims().publish("digest", Claim(index=0, intended_at=5.0))
    assert (run.xcom, run.claims().siblings("digest"), run.claims().index) == ({}, (), 0)


@pytest.mark.parametrize("junk", ["x", 1, None, [], {"jobs": 1}, {"jobs": [1, {"id": 2}]}, {"index": -1, "jobs": "x"}])
def test_junk_in_xcom_is_ignored(junk: Any) -> None:
    run = Run({("other", -1, "sora_jobs"): junk, ("create", 1, "sora_claim_0_digest"): junk})
    run.claims("other", step=1).publish_job(OwnedJob(video_id="one"))
    assert ids(run.claims()) == {"one"}
    assert run.claims(index=0).siblings("digest") == []


def test_without_a_dag_in_the_context_only_this_task_is_known() -> None:
    run = Run()
    run.claims(index=1).publish_job(OwnedJob(video_id="one"))
    alone: Any = {"ti": Ti(map_index=0, xcom=run.xcom)}
    assert ids(XComClaims(alone, 0)) == {"one"}
