"""Which mapped task has which job: each move of the algorithm by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.submission.claims import Claim, NoClaims, publish, take
from airflow_provider_sora.submission.record import Fingerprint, Record
from tests.submission.world import REQUEST

INTENT = Record(generation=0, fingerprint=Fingerprint.of(REQUEST), intended_at=5.0)


def video(video_id: str) -> Video:
    return Video.model_validate({"id": video_id, "status": "queued"})


def claim(index: int, video_id: str | None, *, has_it: bool = False) -> Claim:
    return Claim(index=index, video_id=video_id, has_it=has_it, intended_at=1.0)


@dataclass
class Table:
    """XCom of a task and its siblings, which may change each time that it sleeps.

    :ivar told: what the task has published: the job, and whether it has it
    """

    index: int = 5
    others: list[Claim] = field(default_factory=list)
    told: list[tuple[str | None, bool]] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    while_asleep: Callable[[], None] = lambda: None

    def taken(self) -> Sequence[object]:
        return ()

    def siblings(self, prompt: str) -> Sequence[Claim]:
        assert prompt == INTENT.fingerprint.prompt.text
        return self.others

    def publish(self, prompt: str, claim: Claim) -> None:
        assert (prompt, claim.index, claim.intended_at) == (INTENT.fingerprint.prompt.text, self.index, 5.0)
        self.told.append((claim.video_id, claim.has_it))

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.while_asleep()

    def take(self, *video_ids: str) -> str | None:
        taken = take(self, INTENT, [video(each) for each in video_ids], self.sleep)  # type: ignore[arg-type]
        return None if taken is None else taken.id


def test_a_job_that_nobody_else_wants_is_wanted_and_then_had() -> None:
    table = Table(others=[claim(1, None), claim(2, "b"), claim(3, "c", has_it=True)])
    assert table.take("a") == "a"
    assert (table.told, table.slept) == ([("a", False), ("a", True)], [])


def test_a_job_that_a_sibling_has_is_not_taken() -> None:
    table = Table(others=[claim(9, "a", has_it=True)])
    assert (table.take("a"), table.told) == (None, [])
    assert table.take("a", "b") == "b"


def test_each_begins_at_another_place_with_those_that_nobody_wants() -> None:
    assert [Table(index=index).take("a", "b", "c") for index in range(4)] == ["a", "b", "c", "a"]
    assert Table(index=0, others=[claim(1, "a")]).take("a", "b") == "b"


def test_for_a_lower_index_it_withdraws_and_comes_back() -> None:
    table = Table(others=[claim(1, "a")])
    table.while_asleep = table.others.clear
    assert table.take("a") == "a"
    assert table.told == [("a", False), (None, False), ("a", False), ("a", True)]
    assert table.slept == [0.5]


def test_it_waits_longer_each_time() -> None:
    table = Table(others=[claim(1, "a")])
    table.while_asleep = lambda: table.others.clear() if len(table.slept) == 3 else None
    assert (table.take("a"), table.slept) == ("a", [0.5, 1.0, 1.5])


def test_a_higher_index_is_waited_for_until_it_withdraws() -> None:
    table = Table(others=[claim(9, "a")])
    table.while_asleep = lambda: table.others.clear() if len(table.slept) == 2 else None
    assert table.take("a") == "a"
    assert (table.told, table.slept) == ([("a", False), ("a", True)], [1.0, 1.0])


def test_a_higher_index_that_was_first_keeps_it() -> None:
    table = Table(others=[claim(9, "a")])

    def has_it() -> None:
        table.others[:] = [claim(9, "a", has_it=True)]

    table.while_asleep = has_it
    assert (table.take("a"), table.told) == (None, [("a", False), (None, False)])


@pytest.mark.parametrize("index", [1, 9])
def test_a_sibling_that_died_while_it_wanted_a_job_keeps_nobody_for_ever(index: int) -> None:
    table = Table(others=[claim(index, "a")])
    assert table.take("a") == "a"
    withdrawn = [0.5 * (round_ + 1) for round_ in range(15)] if index == 1 else []
    assert table.slept == [*withdrawn, *[1.0] * 60]


def test_the_same_job_by_another_id_of_a_proxy_is_the_same() -> None:
    table = Table(others=[claim(1, "video_1", has_it=True)])
    assert table.take("video_1") is None


def test_who_has_no_siblings_has_what_it_finds() -> None:
    claims = NoClaims()
    publish(claims, INTENT)
    assert (claims.taken(), claims.siblings("any"), claims.index) == ((), (), 0)
    taken = take(claims, INTENT, [video("a")], lambda _: pytest.fail("there is nothing to wait for"))
    assert taken == video("a")
