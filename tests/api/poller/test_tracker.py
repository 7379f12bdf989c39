from __future__ import annotations

import pytest

from airflow_provider_sora.api.decisions.polling import Presence
from airflow_provider_sora.api.poller.waiter import Waiter
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.api.protocol.response import Response
from airflow_provider_sora.exceptions import (
    SoraConfigError,
    SoraConnectionError,
    SoraNotFoundError,
    SoraVideoFailedError,
    SoraVideoGoneError,
    SoraWaitTimeoutError,
)
from tests.api.poller.rig import Rig, video
from tests.api.virtual_time import in_virtual_time

GONE = SoraNotFoundError("GET /videos/video_1", 404, "no such video")


def observe(rig: Rig, waiter: Waiter, shown: Video, *, offset: float = 0.0, **headers: str) -> None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    rig.tracker.observe(waiter, shown, Response(rig.now, headers=named), offset)


@in_virtual_time
async def test_a_job_of_unknown_age_is_polled_at_once_and_a_new_one_after_a_few_seconds() -> None:
    rig = Rig()
    unknown, new = rig.wait("a", due=False), rig.wait("b", due=False, submitted_at=rig.now)
    rig.tracker.begin(unknown)
    rig.tracker.begin(new)
    assert (rig.next_poll(unknown), rig.next_poll(new)) == (0.0, 5.0)


@in_virtual_time
async def test_a_running_job_is_polled_again_and_the_change_is_handed_on() -> None:
    rig = Rig()
    waiter = rig.wait()
    observe(rig, waiter, video())
    assert (waiter.change is not None, waiter.in_flight, waiter.wait.last_status) == (True, False, "in_progress")
    assert rig.next_poll(waiter) == 5.0
    waiter.take_change(lambda _: None)
    observe(rig, waiter, video())
    assert waiter.change is None  # nothing new


@in_virtual_time
async def test_a_hint_of_the_server_is_followed() -> None:
    rig = Rig()
    waiter = rig.wait()
    observe(rig, waiter, video(), openai_poll_after_ms="42000")
    assert rig.next_poll(waiter) == 42.0


@in_virtual_time
async def test_a_video_has_the_id_that_it_was_asked_for_by() -> None:
    rig = Rig()
    waiter = rig.wait("video_1")
    observe(rig, waiter, video("upstream", "completed"))
    assert waiter.result().id == "video_1"


@pytest.mark.parametrize(("status", "error"), [("completed", None), ("failed", SoraVideoFailedError)])
@in_virtual_time
async def test_a_job_that_ended_ends_its_wait_and_is_polled_no_more(status: str, error: type[Exception] | None) -> None:
    rig = Rig()
    waiter = rig.wait(due=False)
    rig.schedule.add(waiter, rig.now + 5)  # the list may show a job that is not due
    observe(rig, waiter, video("video_1", status))
    assert waiter.ended
    assert error is None or isinstance(waiter.error, error)
    assert rig.next_poll(waiter) is None
    ended = (waiter.video, waiter.error)
    observe(rig, waiter, video())  # a response that was on its way
    assert (waiter.video, waiter.error) == ended
    assert rig.next_poll(waiter) is None


@in_virtual_time
async def test_many_waits_are_polled_no_oftener_than_the_list_can_be_read() -> None:
    rig = Rig()
    for _ in range(2):
        rig.strategy.record_page(100, has_more=True)
    rig.wait_many(700, due=False)
    waiter = rig.wait("last", submitted_at=rig.now)
    observe(rig, waiter, video("last", progress=99))
    assert rig.next_poll(waiter) == 8.0  # as many seconds as pages


@in_virtual_time
async def test_history_of_the_same_kind_says_when_a_job_is_polled() -> None:
    rig = Rig()
    kind = {"model": "m", "size": "s", "seconds": "4"}
    for seconds in (100.0, 101.0, 102.0, 103.0, 104.0):
        rig.durations.add(video(**kind), seconds)
    waiter, other = rig.wait("a", submitted_at=rig.now - 95), rig.wait("b", submitted_at=rig.now - 95)
    observe(rig, waiter, video("a", **kind))
    observe(rig, other, video("b", model="other"))
    assert rig.next_poll(waiter) == 5.0
    assert rig.next_poll(other) == 10.0


@pytest.mark.parametrize(("offset", "delay"), [(0.0, 30.0), (10.0, 40.0), (-40.0, 0.0)])
@in_virtual_time
async def test_the_delay_of_a_detection_is_measured_by_the_servers_clock(offset: float, delay: float) -> None:
    rig = Rig()
    waiter = rig.wait()
    observe(rig, waiter, video())
    observe(rig, waiter, video("video_1", "completed", completed_at=970), offset=offset)
    assert rig.observer.delays == [delay]


@in_virtual_time
async def test_a_wait_on_another_clock_measures_the_delay_in_unix_time() -> None:
    rig = Rig()
    waiter = rig.wait()
    waiter.epoch = 5000.0
    observe(rig, waiter, video())
    observe(rig, waiter, video("video_1", "completed", completed_at=5970))
    assert rig.observer.delays == [30.0]


@in_virtual_time
async def test_a_job_that_ended_before_its_first_poll_says_nothing_of_the_delay_but_how_long_it_took() -> None:
    rig = Rig()
    for number in range(5):
        waiter = rig.wait(f"video_{number}")
        observe(rig, waiter, video(f"video_{number}", "completed", created_at=100, completed_at=160))
    assert rig.observer.delays == []
    assert rig.durations.of(None) == [60.0] * 5


@pytest.mark.parametrize("times", [{}, {"completed_at": 160}, {"created_at": 160, "completed_at": 160}])
@in_virtual_time
async def test_times_that_say_nothing_are_not_learned_from(times: dict[str, int]) -> None:
    rig = Rig()
    for number in range(5):
        observe(rig, rig.wait(f"video_{number}"), video(f"video_{number}", "completed", **times))
    assert rig.durations.of(None) == []


@in_virtual_time
async def test_a_failed_check_is_made_again_and_jitter_spreads_it() -> None:
    rig = Rig()
    rig.jitter = 1.0
    waiter = rig.wait()
    assert rig.tracker.on_error(waiter, SoraConnectionError("x")) is None
    assert (waiter.wait.failures, rig.next_poll(waiter)) == (1, 12.5)


@in_virtual_time
async def test_a_connection_that_is_wrong_ends_the_wait() -> None:
    rig = Rig()
    waiter = rig.wait()
    assert rig.tracker.on_error(waiter, SoraConfigError("no host")) is None
    assert waiter.error is not None
    assert rig.next_poll(waiter) is None


@pytest.mark.parametrize(
    ("found", "ends_with", "pause"),
    [(Presence.ABSENT, SoraVideoGoneError, None), (Presence.UNKNOWN, None, 40.0), (video(), None, 10.0)],
)
@in_virtual_time
async def test_the_list_is_asked_for_a_job_that_is_not_known_and_then_followed(
    found: Video | Presence, ends_with: type[Exception] | None, pause: float | None
) -> None:
    rig = Rig()
    waiter = rig.wait()
    for _ in range(2):
        assert rig.tracker.on_error(waiter, GONE) is None
    rig.schedule.add(waiter, rig.now + 1)
    waiter.in_flight = True
    asked = rig.tracker.on_error(waiter, GONE)
    assert asked is not None
    assert (asked.wait, waiter.in_flight, waiter.wait.failures) == (waiter.wait, False, 3)
    assert rig.next_poll(waiter) is None  # until the list has answered
    if isinstance(found, Video):
        waiter.wait = asked.wait
    rig.tracker.on_list_search(waiter, asked, found)
    assert isinstance(waiter.error, ends_with or type(None))
    assert rig.next_poll(waiter) == (5.0 if isinstance(found, Video) else pause)


@in_virtual_time
async def test_a_poll_is_postponed_up_to_the_deadline() -> None:
    rig = Rig()
    waiter = rig.wait(deadline=rig.now + 100)
    rig.tracker.postpone(waiter, 30.0)
    assert rig.next_poll(waiter) == 30.0
    rig.tracker.postpone(waiter, 300.0)
    assert rig.next_poll(waiter) == 100.0


@in_virtual_time
async def test_a_wait_whose_time_is_over_ends() -> None:
    rig = Rig()
    waiter = rig.wait(due=False)
    rig.schedule.add(waiter, rig.now + 5)
    rig.tracker.time_out(waiter)
    assert isinstance(waiter.error, SoraWaitTimeoutError)
    assert rig.next_poll(waiter) is None
