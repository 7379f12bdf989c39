"""What a record keeps of the list's first page."""

from __future__ import annotations

from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.submission.record import Snapshot, is_newest_first


def job(video_id: str, created_at: int | None) -> Video:
    return Video.model_validate({"id": video_id, "status": "queued", "created_at": created_at})


def test_a_list_counts_as_sorted_from_eight_different_times_on() -> None:
    eight = [job(f"{n}", 100 - n) for n in range(8)]
    assert is_newest_first(eight)
    assert not is_newest_first(eight[:7])
    assert not is_newest_first([*eight, job("x", None)])
    assert not is_newest_first([*eight, job("x", 101)])
    assert is_newest_first([*eight, job("x", 93)])


def test_the_snapshot_of_an_empty_list_is_not_complete() -> None:
    assert Snapshot.of([], complete=True) == Snapshot()
    assert Snapshot.of([job("x", 1)], complete=True).complete


def test_a_page_that_is_longer_than_asked_for_is_kept_in_part() -> None:
    jobs = [job(f"{n}", 10_000 - n) for n in range(301)]
    before = Snapshot.of(jobs, complete=True)
    assert (len(before.ids), before.complete, before.newest_at, before.oldest_at) == (300, False, 10_000, 9_701)
    assert Snapshot.of(jobs[:300], complete=True).complete
