"""Records and claims as they are written: what an older version wrote has to be read."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from airflow_provider_sora.exceptions import SoraUndecidedError
from airflow_provider_sora.submission.attempt import Attempt
from airflow_provider_sora.submission.claims import Claim, OwnedJob
from airflow_provider_sora.submission.record import Fingerprint, Record, Snapshot, id_digest, load
from tests.submission.world import REQUEST, Store, World

PROMPT = {
    "text": "51e467415607798220a3776f6ae1a2a09ddc7e5dcdc955d685477b4cf05ade22",  # SHA-256 of "a cat"
    "plain": "51e467415607798220a3776f6ae1a2a09ddc7e5dcdc955d685477b4cf05ade22",
}
SNAPSHOT = {"ids": ["29506c03c19a52af"], "complete": True, "newest_at": None, "oldest_at": None}
RECORD: dict[str, Any] = {
    "version": 1,
    "generation": 2,
    "fingerprint": {"prompt": PROMPT, "sources": [], "model": "wan", "seconds": "4", "size": "64x64"},
    "intended_at": 5.0,
    "snapshot": SNAPSHOT,
    "earlier_ids": [],
    "refusals": 0,
    "refused": False,
    "video_id": None,
    "stage": "open",
}
CLAIM = {
    "version": 1,
    "index": 3,
    "video_id": "video_1",
    "has_it": False,
    "intended_at": 5.0,
    "snapshot": SNAPSHOT,
    "earlier_ids": [],
}
OWNED_JOB = {"version": 1, "video_id": "video_1", "prompt": PROMPT, "model": "wan"}


def example_snapshot() -> Snapshot:
    return Snapshot(ids=frozenset({id_digest("video_0")}), complete=True)


def test_a_record_is_written_as_version_1_and_read_again() -> None:
    record = Record(generation=2, fingerprint=Fingerprint.of(REQUEST), intended_at=5.0, snapshot=example_snapshot())
    assert record.model_dump(mode="json") == RECORD
    assert Record.model_validate(RECORD).model_dump(mode="json") == RECORD


def test_what_tasks_publish_is_written_as_version_1_and_read_again() -> None:
    for kind, written in ((Claim, CLAIM), (OwnedJob, OWNED_JOB)):
        value: Any = kind.model_validate(written)
        assert value.model_dump(mode="json") == written
        assert kind.model_validate({**written, "of a newer version": 1}) == value
    assert Claim(index=3, intended_at=5.0).model_dump(mode="json") == {**CLAIM, "video_id": None, "snapshot": None}
    assert OwnedJob(video_id="video_1").model_dump(mode="json") == {**OWNED_JOB, "prompt": None, "model": None}


def test_what_was_read_cannot_be_changed() -> None:
    record = Record.model_validate(RECORD)
    for value in (record, Claim.model_validate(CLAIM), OwnedJob.model_validate(OWNED_JOB)):
        with pytest.raises(ValidationError):
            value.video_id = "another"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        record.fingerprint.model = "another"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        example_snapshot().complete = False  # type: ignore[misc]


def test_a_record_of_a_newer_version_is_not_read() -> None:
    store = Store(World(), {"key": {**RECORD, "version": 2}})
    with pytest.raises(SoraUndecidedError, match="a record of version 2, and this package reads versions up to 1"):
        load(store, "key")


def test_the_first_three_errors_of_a_value_that_is_no_record_are_named() -> None:
    store = Store(World(), {"key": {"refusals": "x", "stage": "x"}})
    with pytest.raises(SoraUndecidedError, match="no record of this package") as caught:
        load(store, "key")
    assert [name in str(caught.value) for name in ("generation: ", "fingerprint: ", "intended_at: ")] == [True] * 3
    assert [name in str(caught.value) for name in ("refusals: ", "stage: ")] == [False] * 2


def test_a_record_without_a_version_is_of_version_1() -> None:
    store = Store(World(), {"key": {name: value for name, value in RECORD.items() if name != "version"}})
    found = load(store, "key")
    assert found is not None
    assert found.version == 1


def test_a_record_has_the_generation_of_the_try_that_wrote_it() -> None:
    store = Store(World())
    saved = Attempt(store=store, generation=7).save(Record.model_validate(RECORD))
    assert (saved.generation, store.values["sora_video_0"]["generation"]) == (7, 7)
    assert Attempt(generation=7).save(Record.model_validate(RECORD)).generation == 7


def test_the_digest_of_an_id_does_not_change() -> None:
    assert id_digest("video_0") == "29506c03c19a52af"


def test_the_video_id_is_none_without_a_record_that_can_be_read() -> None:
    stores = [Store(World(), {"sora_video_0": found}) for found in ({**RECORD, "video_id": "video_1"}, RECORD, "junk")]
    assert [Attempt(store=store).video_id() for store in (*stores, Store(World()), None)] == ["video_1", *[None] * 4]


def test_an_attempt_outside_of_airflow_is_the_only_one() -> None:
    alone = Attempt()
    assert (alone.generation, alone.has_retries_left, alone.may_have_submitted_since) == (0, False, None)
