"""Which mapped task owns which job: each step of the algorithm on its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.submission.claims import Claim, NoClaims, acquire, publish_claim
from airflow_provider_sora.submission.record import Fingerprint, Record
from tests.submission.world import REQUEST

INTENT = Record(generation=0, fingerprint=Fingerprint.of(REQUEST), intended_at=5.0)


def video(video_id: str) -> Video:
    return Video.model_validate({"id": video_id, "status": "queued"})


def claim(index: int, video_id: str | None, *, has_it: bool = False) -> Claim:
    return Claim(index=index, video_id=video_id, has_it=has_it, intended_at=1.0)


@dataclass
class Table:
    """XCom of a task and its siblings, which may change whenever the task sleeps.

    :ivar published: what the task has published: the job, and whether it owns it
    """

    index: int = 5
    others: list[Claim] = field(default_factory=list)
    published: list[tuple[str | None, bool]] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    while_asleep: Callable[[], None] = lambda: None

    def jobs_of_others(self) -> Sequence[object]:
        return ()

    def siblings(self, prompt: str) -> Sequence[Claim]:
        assert prompt == INTENT.fingerprint.prompt.text
        return self.others

    def publish(self, prompt: str, claim: Claim) -> None:
        assert (prompt, claim.index, claim.intended_at) == (INTENT.fingerprint.prompt.text, self.index, 5.0)
        self.published.append((claim.video_id, claim.has_it))

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.while_asleep()

    def acquire(self, *video_ids: str) -> str | None:
        acquired = acquire(self, INTENT, [video(each) for each in video_ids], self.sleep)  # type: ignore[arg-type]
        return None if acquired is None else acquired.id


def test_a_job_that_no_sibling_wants_is_wanted_and_then_owned() -> None:
    table = Table(others=[claim(1, None), claim(2, "b"), claim(3, "c", has_it=True)])
    assert table.acquire("a") == "a"
    assert (table.published, table.slept) == ([("a", False), ("a", True)], [])


def test_a_job_that_a_sibling_owns_is_not_acquired() -> None:
    table = Table(others=[claim(9, "a", has_it=True)])
    assert (table.acquire("a"), table.published) == (None, [])
    assert table.acquire("a", "b") == "b"


def test_each_index_begins_with_another_of_the_jobs_that_no_sibling_wants() -> None:
    assert [Table(index=index).acquire("a", "b", "c") for index in range(4)] == ["a", "b", "c", "a"]
    assert Table(index=0, others=[claim(1, "a")]).acquire("a", "b") == "b"


def test_a_task_withdraws_for_a_lower_index_and_tries_again() -> None:
    table = Table(others=[claim(1, "a")])
    table.while_asleep = table.others.clear
    assert table.acquire("a") == "a"
    assert table.published == [("a", False), (None, False), ("a", False), ("a", True)]
    assert table.slept == [0.5]


def test_each_backoff_is_longer_than_the_one_before() -> None:
    table = Table(others=[claim(1, "a")])
    table.while_asleep = lambda: table.others.clear() if len(table.slept) == 3 else None
    assert (table.acquire("a"), table.slept) == ("a", [0.5, 1.0, 1.5])


def test_a_task_waits_until_a_higher_index_withdraws() -> None:
    table = Table(others=[claim(9, "a")])
    table.while_asleep = lambda: table.others.clear() if len(table.slept) == 2 else None
    assert table.acquire("a") == "a"
    assert (table.published, table.slept) == ([("a", False), ("a", True)], [1.0, 1.0])


def test_a_higher_index_that_owns_the_job_keeps_it() -> None:
    table = Table(others=[claim(9, "a")])

    def own_it() -> None:
        table.others[:] = [claim(9, "a", has_it=True)]

    table.while_asleep = own_it
    assert (table.acquire("a"), table.published) == (None, [("a", False), (None, False)])


@pytest.mark.parametrize("index", [1, 9])
def test_a_sibling_that_died_while_it_wanted_a_job_does_not_block_it_for_ever(index: int) -> None:
    table = Table(others=[claim(index, "a")])
    assert table.acquire("a") == "a"
    withdrawn = [0.5 * (round_ + 1) for round_ in range(15)] if index == 1 else []
    assert table.slept == [*withdrawn, *[1.0] * 60]


def test_two_ids_of_one_job_are_one_job() -> None:
    table = Table(others=[claim(1, "video_1", has_it=True)])
    assert table.acquire("video_1") is None


def test_a_task_without_siblings_acquires_what_it_finds() -> None:
    claims = NoClaims()
    publish_claim(claims, INTENT)
    assert (claims.jobs_of_others(), claims.siblings("any"), claims.index) == ((), (), 0)
    acquired = acquire(claims, INTENT, [video("a")], lambda _: pytest.fail("there is nothing to wait for"))
    assert acquired == video("a")
