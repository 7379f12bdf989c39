"""How often the list is read before a search ends, what it searches for, and what it writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.exceptions import SoraUndecidedError
from airflow_provider_sora.submission import claims, search
from airflow_provider_sora.submission.claims import Claim, OwnedJob
from airflow_provider_sora.submission.matching import Ambiguous, JobQuery, Match, MatchResult, NoMatch
from airflow_provider_sora.submission.prompts import PromptDigest
from airflow_provider_sora.submission.record import Fingerprint, Record, id_digest
from airflow_provider_sora.submission.search import Search
from tests.submission.world import REQUEST, Store, World, attempt, client

NOW = 10_000.0
VIDEO = Video.model_validate({"id": "video_9", "status": "queued"})
MATCH = Match((VIDEO,))
UNCLEAR = Ambiguous("it is unclear")
JUST_NOW = Record(generation=0, fingerprint=Fingerprint.of(REQUEST), intended_at=NOW)


@dataclass
class OtherTasks:
    """What the other tasks of a DAG run have published."""

    index: int = 0
    owned: Sequence[OwnedJob] = ()
    claimed: Sequence[Claim] = ()

    def jobs_of_others(self) -> Sequence[OwnedJob]:
        return self.owned

    def siblings(self, _: str) -> Sequence[Claim]:
        return self.claimed

    def publish(self, prompt: str, claim: Claim) -> None:
        """They do not read it."""


@dataclass
class Reads:
    """The results of the reads of a list, in order; the last one is repeated.

    :ivar queries: what each read searched for
    :ivar slept: the pause before each read
    """

    results: Sequence[MatchResult]
    store: Store = field(default_factory=lambda: Store(World()))
    queries: list[JobQuery] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)

    def match_jobs(self, query: JobQuery, _: object) -> MatchResult:
        self.queries.append(query)
        return self.results[min(len(self.queries), len(self.results)) - 1]

    def search(self, others: OtherTasks | None = None, **fields: Any) -> Search:
        known = {"clock": lambda: NOW, "sleep": self.slept.append, "claims": others or OtherTasks(), **fields}
        return Search(client(self.store.world), REQUEST, attempt(self.store.world, self.store, **known))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    """A list whose reads have the results that a test sets."""
    reads = Reads((NoMatch(),))
    monkeypatch.setattr(search, "match_jobs", reads.match_jobs)
    return reads


def test_without_a_match_the_list_is_read_four_times_in_ten_seconds(reads: Reads) -> None:
    assert reads.search().find(JUST_NOW) is None
    assert reads.slept == [0.0, 2.0, 5.0, 3.0]


@pytest.mark.parametrize(("seconds_ago", "count"), [(130.0, 2), (129.9, 4)])
def test_two_minutes_after_the_last_pause_two_reads_are_enough(reads: Reads, seconds_ago: float, count: int) -> None:
    assert reads.search().find(JUST_NOW.replace(intended_at=NOW - seconds_ago)) is None
    assert len(reads.slept) == count


def test_two_reads_are_not_enough_if_they_do_not_agree(reads: Reads) -> None:
    reads.results = (UNCLEAR, NoMatch(), NoMatch())
    assert reads.search().find(JUST_NOW.replace(intended_at=0.0)) is None
    assert len(reads.slept) == 3


def test_two_reads_are_not_enough_while_mapped_tasks_search_for_the_same_prompt(reads: Reads) -> None:
    others = OtherTasks(claimed=[Claim(index=1, intended_at=1.0)])
    assert reads.search(others).find(JUST_NOW.replace(intended_at=0.0)) is None
    assert len(reads.slept) == 4


def test_a_match_ends_the_reads(reads: Reads) -> None:
    reads.results = (NoMatch(), UNCLEAR, MATCH)
    assert reads.search().find(JUST_NOW) == VIDEO
    assert reads.slept == [0.0, 2.0, 5.0]


def test_if_only_the_last_read_shows_no_match_one_more_has_to_confirm_it(reads: Reads) -> None:
    reads.results = (UNCLEAR, UNCLEAR, UNCLEAR, NoMatch(), NoMatch())
    assert reads.search().find(JUST_NOW) is None
    assert reads.slept == [0.0, 2.0, 5.0, 3.0, 2.0]


def test_a_last_read_that_is_not_confirmed_does_not_let_the_task_submit_again(reads: Reads) -> None:
    reads.results = (UNCLEAR, UNCLEAR, UNCLEAR, NoMatch(), UNCLEAR)
    with pytest.raises(SoraUndecidedError, match="it is unclear"):
        reads.search().find(JUST_NOW)


def test_a_last_read_that_is_ambiguous_is_not_repeated(reads: Reads) -> None:
    reads.results = (NoMatch(), NoMatch(), NoMatch(), UNCLEAR)
    with pytest.raises(SoraUndecidedError, match="it is unclear"):
        reads.search().find(JUST_NOW)
    assert len(reads.slept) == 4


def test_a_search_ends_after_mapped_tasks_have_claimed_every_match_five_times(
    reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads.results = (MATCH,)
    monkeypatch.setattr(claims, "acquire", lambda *_: None)
    with pytest.raises(SoraUndecidedError, match="mapped tasks with the same prompt claimed every job"):
        reads.search().find(JUST_NOW)
    assert len(reads.queries) == 5


def test_the_id_of_a_re_attached_job_is_written(reads: Reads) -> None:
    reads.results = (MATCH,)
    reads.search().find(JUST_NOW.replace(stage="told"))
    written = reads.store.values["sora_video_0"]
    assert (written["video_id"], written["stage"]) == ("video_9", "open")


def test_the_id_of_a_job_that_a_mapped_task_owns_is_removed_again(reads: Reads) -> None:
    others = OtherTasks(claimed=[Claim(index=1, video_id="video_9", has_it=True, intended_at=1.0)])
    assert reads.search(others).record_and_claim(JUST_NOW, VIDEO) is None
    assert reads.store.values["sora_video_0"]["video_id"] is None


def test_a_job_that_a_mapped_task_only_wants_is_searched_for_too(reads: Reads) -> None:
    wants = Claim(index=1, video_id="wanted", intended_at=1.0)
    owns = Claim(index=2, video_id="owned", has_it=True, intended_at=1.0, earlier_ids=frozenset({"earlier"}))
    reads.search(OtherTasks(claimed=[wants, owns])).find(JUST_NOW)
    assert reads.queries[0].excluded_ids == {id_digest("owned"), "earlier"}
    assert reads.queries[0].searching_tasks == 2


def test_only_jobs_of_the_same_model_show_how_the_server_shows_prompts(reads: Reads) -> None:
    prompt = PromptDigest.of("a dog")
    same = OwnedJob(video_id="same", prompt=prompt, model="wan")
    others = [OwnedJob(video_id="other model", prompt=prompt, model="sora"), OwnedJob(video_id="no", model="wan")]
    reads.search(OtherTasks(owned=[same, *others])).find(JUST_NOW)
    assert reads.queries[0].known_prompts == {id_digest("same"): prompt}
    assert reads.queries[0].excluded_ids == {id_digest(video_id) for video_id in ("same", "other model", "no")}
