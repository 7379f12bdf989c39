"""A sensor decides alike in each mode: what a wait in one go survives, pokes survive too, in one process or in many."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_sora.api.client import SoraClient
from airflow_provider_sora.api.decisions.polling import Wait
from airflow_provider_sora.api.http.config import SoraConfig
from airflow_provider_sora.compat import AirflowFailException, AirflowSensorTimeout, AirflowSkipException
from airflow_provider_sora.events import VideoEvent
from airflow_provider_sora.exceptions import SoraWaitTimeoutError
from airflow_provider_sora.sensors.poke_state import KEY, PokeState
from airflow_provider_sora.sensors.sora import SoraVideoSensor
from tests.api.conftest import job
from tests.golden import golden, versions
from tests.tasks.task_context import Store, Ti, context

CONFIG = SoraConfig("http://server", api_key="k")
RESPONSES: dict[str, Callable[[], httpx.Response]] = {
    "unknown": lambda: httpx.Response(404, json={"error": {"message": "no such video"}}),
    "gateway": lambda: httpx.Response(404, text="default backend - 404"),
    "key": lambda: httpx.Response(401, json={"error": {"message": "bad key"}}),
    "broken": lambda: httpx.Response(500, text="boom"),
    "later": lambda: httpx.Response(429, json={"error": {"message": "slow down"}}, headers={"Retry-After": "300"}),
    "rejected": lambda: httpx.Response(
        200, json=job("failed", error={"code": "moderation_blocked", "message": "not this"})
    ),
    "busy": lambda: httpx.Response(429, json={"error": {"message": "slow down"}}),
    "odd": lambda: httpx.Response(200, text="<html>"),
    "running": lambda: httpx.Response(200, json=job("in_progress")),
    "completed": lambda: httpx.Response(200, json=job("completed")),
    "failed": lambda: httpx.Response(200, json=job("failed", error={"code": "oom", "message": "no"})),
}


class Clock:
    """The time in each process."""

    def __init__(self) -> None:
        self.now = 1_764_000_000.0
        self.slept: list[float] = []

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Server:
    """Answers each status check with the next of some words, and then always with the last."""

    def __init__(self, words: list[str], *, lists_it: bool = False) -> None:
        self.words = list(words)
        self.lists_it = lists_it
        self.clock = Clock()
        self.checks: list[float] = []

    def handle(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/videos"):
            data = [job("in_progress")] if self.lists_it else []
            return httpx.Response(200, json={"data": data, "has_more": False})
        self.checks.append(self.clock.now)
        word = self.words.pop(0) if len(self.words) > 1 else self.words[0]
        if word == "lost":
            raise httpx.ConnectError("connection refused")
        return RESPONSES[word]()

    def client(self, *_: object) -> SoraClient:
        clock = self.clock
        transport = httpx.MockTransport(self.handle)
        return SoraClient(CONFIG, transport=transport, sleep=clock.sleep, clock=clock.time, monotonic=clock.time)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Server], Server]]:
    """Puts a server, and its clock, behind the sensor."""
    with monkeypatch.context() as patched:

        def put(server: Server) -> Server:
            patched.setattr("airflow_provider_sora.hooks.base.SoraClient", server.client)
            patched.setattr("airflow_provider_sora.sensors.sora.time", server.clock)
            return server

        yield put


def outcome(run: Callable[[], str]) -> str:
    """What a wait ends with: a status, or the name of the error that a user sees."""
    try:
        return run()
    except AirflowFailException as error:
        return str(error).partition(":")[0]
    except Exception as error:  # noqa: BLE001 - whatever it is, it has to be the same
        return type(error).__name__


def waits(server: Server) -> str:
    with server.client() as client:
        return client.wait(Wait("video_1", 1e12, 10.0)).status.value


def pokes(server: Server, context: Any, *, mode: str, **options: Any) -> str:
    make = functools.partial(
        SoraVideoSensor, task_id="wait", video="video_1", deferrable=False, mode=mode, poke_interval=10.0, **options
    )
    sensor = make()
    for _ in range(2000):
        result = sensor.poke(context)
        if result.is_done:
            return str((result.xcom_value or {})["status"])
        server.clock.now += 10
        if mode == "reschedule":
            sensor = make()  # another process
    return "still waiting"


@pytest.fixture(autouse=True)
def no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SORA_DEFAULT", '{"conn_type": "sora", "host": "http://server"}')


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    words=st.lists(st.sampled_from(["lost", *RESPONSES]), min_size=1, max_size=15),
    runs=st.integers(1, 12),
    lists_it=st.booleans(),
)
def test_each_mode_ends_as_a_wait_in_one_go_does(
    serve: Callable[[Server], Server], words: list[str], runs: int, lists_it: bool
) -> None:
    said = [words[0]] * runs + [*words, "completed"]
    found = {}
    for name, run in {
        "wait": waits,
        "poke": lambda server: pokes(server, context(Ti()), mode="poke"),
        "reschedule": lambda server: pokes(server, context(Ti(), Store()), mode="reschedule"),
    }.items():
        server = serve(Server(said, lists_it=lists_it))
        found[name] = outcome(functools.partial(run, server))
    assert set(found.values()) == {found["wait"]}


@pytest.mark.parametrize(
    ("word", "checks_before", "ending"),
    [
        ("unknown", 2, "SoraVideoGoneError"),
        ("gateway", 9, "SoraWaitError"),
        ("key", 9, "SoraWaitError"),
        ("broken", 9, "SoraWaitError"),
        ("lost", 9, "SoraWaitError"),
        ("odd", 9, "SoraWaitError"),
        ("failed", 0, "SoraVideoFailedError"),
    ],
)
@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_a_failure_that_may_pass_is_a_poke_that_answers_not_yet(
    serve: Callable[[Server], Server], mode: str, word: str, checks_before: int, ending: str
) -> None:
    for count, expected in ((checks_before, "completed"), (checks_before + 1, ending)):
        server = serve(Server([*[word] * count, "completed"]))
        assert outcome(lambda: pokes(server, context(Ti(), Store()), mode=mode)) == expected  # noqa: B023


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_pauses_grow_as_the_triggers_do_so_that_a_restart_of_the_server_is_survived(
    serve: Callable[[Server], Server], mode: str
) -> None:
    server = serve(Server(["broken"]))
    assert outcome(lambda: pokes(server, context(Ti(), Store()), mode=mode)) == "SoraWaitError"
    pauses = [after - before for before, after in pairwise(server.checks)]
    assert len(server.checks) == 10
    assert pauses[0] < pauses[2] < pauses[-1]
    assert 400 < server.checks[-1] - server.checks[0] < 800


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_a_pause_that_the_server_asks_for_is_kept(serve: Callable[[Server], Server], mode: str) -> None:
    server = serve(Server(["later", "completed"]))
    assert outcome(lambda: pokes(server, context(Ti(), Store()), mode=mode)) == "completed"
    assert server.checks[1] - server.checks[0] == 300
    assert len(server.checks) == 2


@pytest.mark.parametrize(("lists_it", "ending"), [(False, "SoraVideoGoneError"), (True, "still waiting")])
def test_without_a_store_a_job_that_seems_gone_is_checked_thrice_in_one_poke_before_the_list_is_asked(
    serve: Callable[[Server], Server], lists_it: bool, ending: str
) -> None:
    server = serve(Server(["unknown"], lists_it=lists_it))
    assert outcome(lambda: pokes(server, context(Ti()), mode="reschedule")) == ending
    assert server.clock.slept[:2] == [2.0, 5.0]


@pytest.mark.parametrize("word", ["key", "broken", "lost", "gateway"])
def test_without_a_store_a_failure_that_may_pass_never_ends_the_wait(
    serve: Callable[[Server], Server], word: str
) -> None:
    server = serve(Server([*[word] * 50, "completed"]))
    assert outcome(lambda: pokes(server, context(Ti()), mode="reschedule")) == "completed"
    assert server.clock.slept == []


def state(**fields: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "try_number": 1,
        "video_id": "video_1",
        "failures": 9,
        "failure_kind": "server",
        "last_status": "never",
        "next_poll_at": 0.0,
        **fields,
    }


@pytest.mark.parametrize(
    "stored",
    [
        state(version=2),
        state(failures="many"),
        state(failure_kind="newer"),
        [1],
        state(try_number=2),
        state(video_id="video_2"),
    ],
)
def test_failures_of_another_try_or_video_and_those_that_cannot_be_read_do_not_count(
    serve: Callable[[Server], Server], stored: Any
) -> None:
    server = serve(Server(["broken", "completed"]))
    store = Store({KEY: stored})
    assert outcome(lambda: pokes(server, context(Ti(), store), mode="reschedule")) == "completed"


def test_a_stored_state_counts() -> None:
    assert versions("sensor") == [1]
    assert PokeState.model_validate(golden("sensor", 1)).model_dump(mode="json") == golden("sensor", 1) == state()


def test_nothing_is_written_where_no_check_fails(serve: Callable[[Server], Server]) -> None:
    server = serve(Server(["running", "running", "completed"]))
    store = Store()
    assert outcome(lambda: pokes(server, context(Ti(), store), mode="reschedule")) == "completed"
    assert store.get(KEY, {}).get("failures", 0) == 0


@pytest.mark.parametrize("option", ["soft_fail", "never_fail"])
@pytest.mark.parametrize("mode", ["poke", "reschedule", "deferred"])
@pytest.mark.parametrize("word", ["failed", "rejected"])
def test_a_task_is_skipped_in_each_mode_where_the_user_asked_for_that(
    serve: Callable[[Server], Server], option: str, mode: str, word: str
) -> None:
    server = serve(Server([word]))
    options: dict[str, Any] = {option: True}
    if mode == "deferred":
        sensor = SoraVideoSensor(task_id="wait", video="video_1", deferrable=True, **options)
        assert outcome(lambda: sensor.execute(context(Ti()))) == "AirflowSkipException"
    else:
        assert outcome(lambda: pokes(server, context(Ti(), Store()), mode=mode, **options)) == "AirflowSkipException"


@pytest.mark.parametrize("deferred", [True, False])
def test_a_video_that_is_none_is_skipped_too(deferred: bool) -> None:
    sensor = SoraVideoSensor(task_id="wait", video="", deferrable=deferred, soft_fail=True)
    with pytest.raises(AirflowSkipException):
        sensor.execute(context(Ti()))


def test_a_timeout_in_the_triggerer_is_the_sensors_timeout() -> None:
    event = VideoEvent.of_error("video_1", SoraWaitTimeoutError("video_1", "too late", last_status="queued"))
    sensor = SoraVideoSensor(task_id="wait", video="video_1", deferrable=True)
    with pytest.raises(AirflowSensorTimeout, match="too late"):
        sensor.execute_complete(context(Ti()), event.to_json())
