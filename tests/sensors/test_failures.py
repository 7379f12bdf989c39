"""A sensor decides alike in each mode: what a wait in one go survives, pokes survive too, in one process or in many."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_sora.api.client import SoraClient
from airflow_provider_sora.api.decisions.polling import Wait
from airflow_provider_sora.api.http.config import SoraConfig
from airflow_provider_sora.compat import AirflowFailException
from airflow_provider_sora.sensors.failure_count import STORE_KEY
from airflow_provider_sora.sensors.sora import SoraVideoSensor
from tests.api.conftest import job

CONFIG = SoraConfig("http://server", api_key="k")
RESPONSES: dict[str, Callable[[], httpx.Response]] = {
    "unknown": lambda: httpx.Response(404, json={"error": {"message": "no such video"}}),
    "gateway": lambda: httpx.Response(404, text="default backend - 404"),
    "key": lambda: httpx.Response(401, json={"error": {"message": "bad key"}}),
    "broken": lambda: httpx.Response(500, text="boom"),
    "busy": lambda: httpx.Response(429, json={"error": {"message": "slow down"}}),
    "odd": lambda: httpx.Response(200, text="<html>"),
    "running": lambda: httpx.Response(200, json=job("in_progress")),
    "completed": lambda: httpx.Response(200, json=job("completed")),
    "failed": lambda: httpx.Response(200, json=job("failed", error={"code": "oom", "message": "no"})),
}


class Server:
    """Answers each status check with the next of some words, and then always with the last."""

    def __init__(self, words: list[str], *, lists_it: bool) -> None:
        self.words = list(words)
        self.lists_it = lists_it

    def handle(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/videos"):
            data = [job("in_progress")] if self.lists_it else []
            return httpx.Response(200, json={"data": data, "has_more": False})
        word = self.words.pop(0) if len(self.words) > 1 else self.words[0]
        if word == "lost":
            raise httpx.ConnectError("connection refused")
        return RESPONSES[word]()

    def client(self, *_: object) -> SoraClient:
        clock = iter(range(10**9, 2 * 10**9))
        return SoraClient(
            CONFIG,
            transport=httpx.MockTransport(self.handle),
            sleep=lambda _: None,
            clock=lambda: next(clock),
            monotonic=lambda: next(clock),
        )


class Store:
    """Airflow's task state store, as far as a sensor uses it."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        return self.values.get(key)

    def set(self, key: str, value: Any) -> None:
        self.values[key] = value


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


def pokes(server: Server, context: Any, *, mode: str) -> str:
    made = functools.partial(SoraVideoSensor, task_id="wait", video="video_1", deferrable=False, mode=mode)
    sensor = made()
    for _ in range(200):
        result = sensor.poke(context)
        if result.is_done:
            return str((result.xcom_value or {})["status"])
        if mode == "reschedule":
            sensor = made()  # another process
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
    monkeypatch: pytest.MonkeyPatch, words: list[str], runs: int, lists_it: bool
) -> None:
    said = [words[0]] * runs + [*words, "completed"]
    found = {}
    for name, run in {
        "wait": waits,
        "poke": lambda server: pokes(server, {}, mode="poke"),
        "reschedule": lambda server: pokes(server, {"task_state_store": Store()}, mode="reschedule"),
    }.items():
        server = Server(said, lists_it=lists_it)
        with monkeypatch.context() as patched:
            patched.setattr("airflow_provider_sora.hooks.sora.SoraClient", server.client)
            found[name] = outcome(functools.partial(run, server))
    assert set(found.values()) == {found["wait"]}


@pytest.mark.parametrize(
    ("word", "pokes_before", "ending"),
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
def test_a_failure_that_may_pass_is_a_poke_that_says_not_yet(
    monkeypatch: pytest.MonkeyPatch, mode: str, word: str, pokes_before: int, ending: str
) -> None:
    for count, expected in ((pokes_before, "completed"), (pokes_before + 1, ending)):
        server = Server([*[word] * count, "completed"], lists_it=False)
        monkeypatch.setattr("airflow_provider_sora.hooks.sora.SoraClient", server.client)
        context = {"task_state_store": Store()}
        assert outcome(lambda: pokes(server, context, mode=mode)) == expected  # noqa: B023 - called at once


class Ti:
    """A task instance of an Airflow without a state store."""

    def __init__(self, first_reschedule: datetime | None) -> None:
        self.first_reschedule = first_reschedule

    def get_first_reschedule_date(self, _: Any) -> datetime | None:
        return self.first_reschedule


@pytest.mark.parametrize(
    ("begun", "lists_it", "ending"),
    [
        (None, False, "still waiting"),
        (timedelta(seconds=30), False, "still waiting"),
        (timedelta(seconds=90), False, "SoraVideoGoneError"),
        (timedelta(seconds=90), True, "still waiting"),
    ],
)
def test_without_a_store_a_job_is_given_up_where_the_list_does_not_show_it_after_a_minute(
    monkeypatch: pytest.MonkeyPatch, begun: timedelta | None, lists_it: bool, ending: str
) -> None:
    server = Server(["unknown"], lists_it=lists_it)
    monkeypatch.setattr("airflow_provider_sora.hooks.sora.SoraClient", server.client)
    ti = Ti(None if begun is None else datetime.now(UTC) - begun)
    assert outcome(lambda: pokes(server, {"ti": ti}, mode="reschedule")) == ending


@pytest.mark.parametrize("word", ["key", "broken", "lost", "gateway"])
def test_without_a_store_a_failure_that_may_pass_never_ends_the_wait(
    monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    server = Server([*[word] * 50, "completed"], lists_it=False)
    monkeypatch.setattr("airflow_provider_sora.hooks.sora.SoraClient", server.client)
    ti = Ti(datetime.now(UTC) - timedelta(hours=1))
    assert outcome(lambda: pokes(server, {"ti": ti}, mode="reschedule")) == "completed"


@pytest.mark.parametrize("stored", [{"version": 2, "failures": 9}, {"failures": "many"}, {"kind": "newer"}, [1]])
def test_a_count_that_cannot_be_read_begins_anew(monkeypatch: pytest.MonkeyPatch, stored: Any) -> None:
    server = Server(["broken"], lists_it=False)
    monkeypatch.setattr("airflow_provider_sora.hooks.sora.SoraClient", server.client)
    store = Store()
    store.values[STORE_KEY] = stored
    sensor = SoraVideoSensor(task_id="wait", video="video_1", deferrable=False, mode="reschedule")
    context: Any = {"task_state_store": store}
    assert not sensor.poke(context).is_done
    assert store.values[STORE_KEY] == {"version": 1, "failures": 1, "kind": "server"}


def test_nothing_is_written_where_no_check_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(["running", "completed"], lists_it=False)
    monkeypatch.setattr("airflow_provider_sora.hooks.sora.SoraClient", server.client)
    store = Store()
    assert pokes(server, {"task_state_store": store}, mode="reschedule") == "completed"
    assert store.values == {}
