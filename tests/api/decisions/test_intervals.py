from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sora.api.decisions.intervals import (
    MIN_HISTORY,
    MIN_PAUSE_SECONDS,
    Durations,
    Observation,
    kind_of,
    next_interval,
)
from airflow_provider_sora.api.protocol.models import Video
from tests.api.conftest import job


def after(
    interval: float = 1000,
    age: float | None = None,
    last: Observation | None = None,
    before: Observation | None = None,
    history: list[float] | None = None,
    jitter: float = 0.0,
    least: float = 0.0,
) -> float:
    return next_interval(interval, age=age, last=last, before=before, history=history or [], jitter=jitter, least=least)


def video(model: str = "sora-2", **fields: str) -> Video:
    return Video.model_validate(job("completed", model=model, **fields))


numbers = st.floats(min_value=0, max_value=1e6)
sights = st.none() | st.builds(Observation, numbers, st.none() | st.floats(allow_nan=True, allow_infinity=True))


@given(
    interval=st.floats(min_value=0.01, max_value=1e5),
    age=st.none() | numbers,
    last=sights,
    before=sights,
    history=st.lists(numbers, min_size=5).map(sorted) | st.just([]),
    jitter=st.floats(min_value=0, max_value=1, exclude_max=True),
    least=numbers,
)
def test_a_pause_is_never_longer_than_the_interval_nor_next_to_nothing(
    interval: float,
    age: float | None,
    last: Observation | None,
    before: Observation | None,
    history: list[float],
    jitter: float,
    least: float,
) -> None:
    seconds = after(interval, age, last, before, history, jitter, least)
    assert min(interval, MIN_PAUSE_SECONDS) / 2 <= seconds <= interval


def test_where_nothing_is_known_pauses_begin_short_and_double() -> None:
    assert after() == 5
    assert [after(age=age, last=Observation(0, None)) for age in (0, 5, 10, 20, 40)] == [5, 5, 10, 20, 40]


def test_progress_since_the_submission_is_a_guess_that_is_looked_at_on_the_way() -> None:
    assert after(age=10, last=Observation(110, 20)) == pytest.approx(0.6 * 40 + 0.5)


def test_two_sights_tell_the_speed() -> None:
    assert after(age=50, last=Observation(150, 40), before=Observation(140, 20)) == pytest.approx(0.9 * 30 + 0.5)


def test_progress_that_goes_back_or_stands_still_is_judged_by_the_age() -> None:
    for before in (Observation(140, 60), Observation(140, 40), Observation(140, None)):
        assert after(age=50, last=Observation(150, 40), before=before) == pytest.approx(0.6 * 75 + 0.5)


@pytest.mark.parametrize("progress", [0, None, 100, 250])
def test_progress_that_says_nothing_is_not_used(progress: float | None) -> None:
    assert after(age=10, last=Observation(110, progress)) == 10


def test_progress_of_a_job_of_unknown_age_is_not_used() -> None:
    assert after(last=Observation(110, 50)) == 5


def test_by_history_nothing_is_looked_at_before_jobs_begin_to_end() -> None:
    history = [60.0, 70.0, 80.0, 90.0, 120.0]
    assert after(age=0, history=history) == 60
    assert after(age=49, history=history) == 11


def test_by_history_looks_come_evenly_while_jobs_end() -> None:
    history = [60.0, 70.0, 80.0, 90.0, 120.0]
    assert [after(age=age, history=history) for age in (55, 60, 100)] == [10, 10, 10]
    assert after(interval=10, age=60, history=history) == 6


def test_by_history_outliers_are_left_out() -> None:
    history = [1.0, *[60.0] * 18, 10_000.0]
    assert after(age=0, history=history) == 60


def test_a_job_that_takes_longer_than_any_before_is_looked_at_ever_more_rarely() -> None:
    history = [60.0] * 5
    assert [after(interval=30, age=age, history=history) for age in (60, 62, 70, 80, 500)] == [1, 2, 10, 20, 30]


def test_history_says_nothing_of_a_job_of_unknown_age() -> None:
    assert after(history=[60.0] * 5) == 5


def test_progress_says_more_than_history() -> None:
    assert after(age=10, last=Observation(110, 50), history=[500.0] * 5) == pytest.approx(6.5)


def test_jitter_makes_a_pause_shorter_and_the_first_one_most() -> None:
    assert after(jitter=0.5) == 5 * 0.75
    assert after(last=Observation(0, None), jitter=0.5) == 5 * 0.95


def test_many_waits_are_left_alone_as_long_as_the_interval_allows() -> None:
    assert after(least=20) == 20
    assert after(interval=10, least=20) == 10


def test_a_pause_that_would_be_shorter_than_a_second_is_a_second() -> None:
    assert after(age=1, last=Observation(1, 99)) == 1


def test_durations_say_nothing_until_there_are_a_few_of_the_kind() -> None:
    durations = Durations()
    for seconds in (50, 40, 30, 20):
        durations.add(video(), seconds)
    assert durations.of(kind_of(video())) == durations.of(None) == []
    durations.add(video(), 10)
    assert durations.of(kind_of(video())) == durations.of(None) == [10, 20, 30, 40, 50]
    assert MIN_HISTORY == 5


def test_durations_are_kept_by_model_size_and_seconds() -> None:
    durations = Durations()
    for _ in range(5):
        durations.add(video(size="1x1", seconds="4"), 10)
        durations.add(video(size="1x1", seconds="8"), 20)
    assert durations.of(("sora-2", "1x1", "4")) == [10] * 5
    assert durations.of(("sora-2", "1x1", "8")) == [20] * 5
    assert durations.of(("sora-2", None, None)) == []
    assert len(durations.of(None)) == 10


def test_only_the_newest_durations_are_kept() -> None:
    durations = Durations()
    for seconds in range(200):
        durations.add(video(), seconds)
    assert durations.of(None) == list(range(136, 200))


def test_durations_of_endless_kinds_take_no_endless_memory() -> None:
    durations = Durations()
    for _ in range(5):
        durations.add(video(model="first"), 1)
    for number in range(254):
        durations.add(video(model=f"m{number}"), 1)
    assert durations.of(("first", None, None)) == [1] * 5  # 255 kinds, and all of them together
    durations.add(video(model="m254"), 1)
    assert durations.of(("first", None, None)) == durations.of(None) == []


def test_pauses_by_progress_and_by_history_are_spread_a_little() -> None:
    by_progress = after(age=50, last=Observation(150, 40), before=Observation(140, 20))
    assert after(age=50, last=Observation(150, 40), before=Observation(140, 20), jitter=0.5) == by_progress * 0.95
    assert after(age=0, history=[60.0] * 5, jitter=0.5) == 60 * 0.95


def test_the_first_and_the_last_twentieth_of_history_are_left_out() -> None:
    history = [float(one) for one in (*range(110, 130), *range(200, 220))]  # forty: two at each end
    evenly = (217 - 112) / 6
    assert [after(age=age, history=history) for age in (0, 94, 112 - evenly, 112)] == [112, 18, evenly, evenly]
    assert after(age=250, history=history) == 250 - 219
    assert after(age=0, history=history[:19]) == 110  # nineteen: none is left out


def test_no_least_pause_is_wanted_unless_it_is_named() -> None:
    assert next_interval(0.5, age=None, last=None, before=None, history=[], jitter=0.0) == 0.5


def test_a_job_of_age_zero_is_polled_after_the_first_pause() -> None:
    assert after(age=0.0) == after(age=None) == 5
