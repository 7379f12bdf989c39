"""Submitting once, whatever happens: single cases, then random crashes at every step."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_sora import exceptions
from airflow_provider_sora.api.client import SoraClient
from airflow_provider_sora.api.config import SoraConfig
from airflow_provider_sora.api.decisions import RetryPolicy
from airflow_provider_sora.api.models import Video
from airflow_provider_sora.api.requests import CreateVideo
from airflow_provider_sora.submission import Attempt, submit_once

REQUEST = CreateVideo(prompt="a cat", model="wan", seconds="4", size="64x64")


class DiedError(BaseException):
    """The process is gone: nothing after this line has run."""


@dataclass
class World:
    """A server whose clock is ahead, its jobs, and what is to go wrong next, by the name of the step."""

    faults: dict[str, str] = field(default_factory=dict)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    posts: int = 0
    now: float = 1_000_000.0
    server_ahead: float = 500.0
    lists: bool = True
    shows_prompts: bool = True

    def fault(self, step: str) -> str:
        return self.faults.pop(step, "")

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.now += 1
        if request.method == "POST":
            return self._post(json.loads(request.read()))
        if request.url.path.endswith("/videos"):
            return self._list()
        found = [job for job in self.jobs if job["id"] == request.url.path.rpartition("/")[2]]
        return self._answer(found[0]) if found else self._answer({"error": "gone"}, 404)

    def _post(self, body: dict[str, Any]) -> httpx.Response:
        self.posts += 1
        fault = self.fault("post")
        if fault == "dies before":
            raise DiedError
        if fault == "not sent":
            raise httpx.ConnectError("refused")
        if fault == "refused":
            return self._answer({"error": "busy"}, 429)
        if fault == "fails unaccepted":
            return self._answer({"error": "boom"}, 500)
        job = self.add(**body)
        if fault == "dies after":
            raise DiedError
        if fault == "answer lost":
            raise httpx.ReadTimeout("slow")
        if fault == "fails accepted":
            return self._answer({"error": "boom"}, 502)
        if fault == "gibberish":
            return httpx.Response(200, text="ok", headers=self._headers())
        return self._answer(job)

    def _list(self) -> httpx.Response:
        fault = self.fault("list")
        if fault == "dies":
            raise DiedError
        if fault == "fails" or not self.lists:
            return self._answer({"error": "no"}, 500 if self.lists else 405)
        shown = [job if self.shows_prompts else {**job, "prompt": None} for job in reversed(self.jobs)]
        return self._answer({"object": "list", "data": shown, "has_more": False})

    def add(self, **fields: Any) -> dict[str, Any]:
        created = int(self.now + self.server_ahead)
        job = {"id": f"video_{len(self.jobs)}", "status": "queued", "created_at": created, **fields}
        self.jobs.append(job)
        return job

    def _answer(self, payload: Any, status: int = 200) -> httpx.Response:
        return httpx.Response(status, json=payload, headers=self._headers())

    def _headers(self) -> dict[str, str]:
        return {"Date": formatdate(self.now + self.server_ahead, usegmt=True)}

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Store:
    """A task state store, which may die before or after it has written."""

    world: World
    values: dict[str, Any] = field(default_factory=dict)

    def get(self, key: str) -> Any:
        return self.values.get(key)

    def set(self, key: str, value: dict[str, Any]) -> None:
        step = "id" if value["video_id"] else "intent"
        fault = self.world.fault(step)
        if fault == "dies before":
            raise DiedError
        self.values[key] = json.loads(json.dumps(value))
        if fault == "dies after":
            raise DiedError

    def delete(self, key: str) -> None:
        self.values.pop(key, None)


@pytest.fixture
def world() -> World:
    return World()


def attempt(world: World, store: Store | None = None, **fields: Any) -> Attempt:
    return Attempt(store=store, clock=lambda: world.now, sleep=world.sleep, **fields)


def submit(world: World, try_: Attempt, request: CreateVideo = REQUEST) -> Video:
    with SoraClient(
        SoraConfig("http://server"),
        RetryPolicy(attempts=1),
        transport=httpx.MockTransport(world.handle),
        clock=lambda: world.now,
        sleep=world.sleep,
    ) as client:
        return submit_once(client, request, try_)


def test_the_id_is_remembered(world: World) -> None:
    store = Store(world)
    video = submit(world, attempt(world, store))
    assert store.values["sora_video_0"]["video_id"] == video.id


def test_a_running_job_is_taken_up_again(world: World) -> None:
    store = Store(world)
    first = submit(world, attempt(world, store))
    assert submit(world, attempt(world, store)).id == first.id
    assert world.posts == 1


@pytest.mark.parametrize(
    ("change", "posts"),
    [
        ({"status": "completed"}, 1),
        ({"status": "completed", "expires_at": 2_000_000}, 1),
        ({"status": "completed", "expires_at": 1_000_001}, 2),
        ({"status": "failed"}, 2),
        ({"status": "cancelled"}, 2),
        ({"id": "of somebody else"}, 2),
    ],
    ids=["finished", "not expired", "expired", "failed", "cancelled", "gone"],
)
def test_what_became_of_the_earlier_job_decides(world: World, change: dict[str, Any], posts: int) -> None:
    store = Store(world)
    submit(world, attempt(world, store))
    world.jobs[0].update(change)
    submit(world, attempt(world, store))
    assert world.posts == posts


def test_a_cleared_task_makes_a_new_video_unless_told_to_reuse(world: World) -> None:
    store = Store(world)
    first = submit(world, attempt(world, store, generation=2))
    assert submit(world, attempt(world, store, generation=3, reuse=True)).id == first.id
    assert submit(world, attempt(world, store, generation=4)).id != first.id
    assert world.posts == 2


@pytest.mark.parametrize("fault", ["answer lost", "fails accepted", "gibberish"])
def test_a_lost_answer_is_found_on_the_list_at_once(world: World, fault: str) -> None:
    world.faults = {"post": fault}
    assert submit(world, attempt(world, Store(world))).id == "video_0"
    assert world.posts == 1


@pytest.mark.parametrize("fault", ["not sent", "refused"])
def test_what_was_not_accepted_leaves_nothing_to_wonder_about(world: World, fault: str) -> None:
    store = Store(world)
    world.faults = {"post": fault}
    with pytest.raises(exceptions.SoraError):
        submit(world, attempt(world, store))
    assert store.values == {}


def test_an_intent_without_an_id_finds_its_job(world: World) -> None:
    store = Store(world)
    world.faults = {"post": "dies after"}
    with pytest.raises(DiedError):
        submit(world, attempt(world, store))
    assert submit(world, attempt(world, store)).id == "video_0"
    assert world.posts == 1


def test_an_intent_without_a_job_is_submitted(world: World) -> None:
    store = Store(world)
    world.faults = {"post": "dies before"}
    with pytest.raises(DiedError):
        submit(world, attempt(world, store))
    submit(world, attempt(world, store))
    assert len(world.jobs) == 1


def test_a_prompt_that_is_rendered_anew_still_finds_the_job_of_the_old_one(world: World) -> None:
    store = Store(world)
    world.faults = {"post": "dies after"}
    with pytest.raises(DiedError):
        submit(world, attempt(world, store))
    assert submit(world, attempt(world, store), CreateVideo(prompt="a cat at noon")).id == "video_0"
    assert "a cat" not in str(store.values)


def test_the_intent_is_a_fence(world: World) -> None:
    world.faults = {"intent": "dies before"}
    with pytest.raises(DiedError):
        submit(world, attempt(world, Store(world)))
    assert world.posts == 0


@pytest.mark.parametrize(
    "other",
    [
        {"prompt": "a dog"},
        {"model": "other"},
        {"seconds": "8"},
        {"size": "32x32"},
        {"status": "failed"},
        {"created_at": 1_000_000},
    ],
)
def test_a_job_that_cannot_be_ones_own_is_not_adopted(world: World, other: dict[str, Any]) -> None:
    world.now += 100
    world.add(**{"prompt": "a cat", "model": "wan", "seconds": "4", "size": "64x64", **other})
    submit(world, attempt(world, since=world.now - 10))
    assert world.posts == 1


def test_the_job_of_a_mapped_sibling_is_not_adopted(world: World) -> None:
    world.add(**REQUEST.fields())
    world.add(**REQUEST.fields())
    video = submit(world, attempt(world, since=world.now - 10, claimed=lambda: {"video_0"}))
    assert video.id == "video_1"
    assert world.posts == 0


def several(world: World) -> None:
    world.add(**REQUEST.fields())
    world.add(**REQUEST.fields())


def no_list(world: World) -> None:
    world.lists = False


def no_prompts(world: World) -> None:
    world.add(**REQUEST.fields())
    world.shows_prompts = False


@pytest.mark.parametrize(
    ("arrange", "words"),
    [
        (several, "2 jobs on the server could be its own: video_1, video_0"),
        (no_list, "the server's list does not tell"),
        (no_prompts, "shows no prompts"),
    ],
)
def test_what_cannot_be_decided_fails_or_submits_by_choice(
    world: World, arrange: Callable[[World], None], words: str
) -> None:
    arrange(world)
    with pytest.raises(exceptions.SoraUndecidedError, match=words) as caught:
        submit(world, attempt(world, since=world.now - 10))
    assert (world.posts, caught.value.retryable) == (0, False)
    submit(world, attempt(world, since=world.now - 10, on_ambiguous="submit"))
    assert world.posts == 1


def test_a_list_that_fails_for_a_moment_decides_nothing_either(world: World) -> None:
    world.add(**REQUEST.fields())
    world.faults = {"list": "fails"}
    with pytest.raises(exceptions.SoraServerError):
        submit(world, attempt(world, since=world.now - 10))
    assert submit(world, attempt(world, since=world.now - 10)).id == "video_0"
    assert world.posts == 0


def test_a_server_that_is_down_for_a_moment_decides_nothing(world: World) -> None:
    store = Store(world)
    submit(world, attempt(world, store))
    world.jobs.clear()
    store.values["sora_video_0"]["video_id"] = None
    with (
        SoraClient(SoraConfig("http://server"), RetryPolicy(attempts=1), transport=httpx.MockTransport(down)) as client,
        pytest.raises(exceptions.SoraConnectionError),
    ):
        submit_once(client, REQUEST, attempt(world, store))


@pytest.mark.parametrize(
    "shown",
    [
        {"model": "openai/wan"},
        {"seconds": "4.0"},
        {"seconds": 4},
        {"size": "64X64"},
        {"prompt": "a cat "},
        {"model": None},
    ],
)
def test_a_job_is_known_although_its_server_writes_it_otherwise(world: World, shown: dict[str, Any]) -> None:
    world.add(**{**REQUEST.fields(), **shown})
    assert submit(world, attempt(world, since=world.now - 10)).id == "video_0"


def test_a_worker_whose_clock_is_behind_finds_the_job_too(world: World) -> None:
    store = Store(world)
    world.faults = {"post": "dies after"}
    with pytest.raises(DiedError):
        submit(world, attempt(world, store))
    store.values["sora_video_0"]["intended_at"] += 30
    assert submit(world, attempt(world, store)).id == "video_0"


@pytest.mark.parametrize("body", [b"404 page not found", b"", b"<html>Not Found</html>"])
def test_a_server_that_is_not_itself_does_not_make_a_video_gone(world: World, body: bytes) -> None:
    store = Store(world)
    first = submit(world, attempt(world, store))

    def elsewhere(_: httpx.Request) -> httpx.Response:
        return httpx.Response(404, content=body)

    with (
        SoraClient(SoraConfig("http://server"), transport=httpx.MockTransport(elsewhere)) as client,
        pytest.raises(exceptions.SoraConnectionError, match="may still be there"),
    ):
        submit_once(client, REQUEST, attempt(world, store))
    assert submit(world, attempt(world, store)).id == first.id


def test_a_refused_request_leaves_what_was_remembered(world: World) -> None:
    store = Store(world)
    submit(world, attempt(world, store))
    before = dict(store.values)
    world.jobs[0]["status"] = "failed"
    world.faults = {"post": "refused"}
    with pytest.raises(exceptions.SoraRateLimitError):
        submit(world, attempt(world, store))
    assert store.values == before


def down(_: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("down")


FAULTS = {
    "intent": ["dies before", "dies after"],
    "post": [
        "dies before",
        "dies after",
        "answer lost",
        "fails accepted",
        "fails unaccepted",
        "gibberish",
        "not sent",
        "refused",
    ],
    "id": ["dies before", "dies after"],
    "list": ["dies", "fails"],
}
TRIES = st.lists(
    st.fixed_dictionaries({}, optional={step: st.sampled_from(kinds) for step, kinds in FAULTS.items()}), max_size=6
)


def run_tries(world: World, tries: list[dict[str, str]], one_try: Callable[[], Video]) -> Video:
    """Each try with its faults, as Airflow retries; then one with none."""
    for faults in tries:
        world.now += 60
        world.faults = dict(faults)
        try:
            return one_try()
        except (DiedError, exceptions.SoraError):
            continue
    world.now += 60
    world.faults = {}
    return one_try()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tries=TRIES, strangers=st.integers(0, 3))
def test_random_crashes_never_pay_twice_and_never_lose_the_video(tries: list[dict[str, str]], strangers: int) -> None:
    world = World()
    for _ in range(strangers):
        world.add(prompt="of somebody else", model="wan", seconds="4", size="64x64")
    store = Store(world)
    video = run_tries(world, tries, lambda: submit(world, attempt(world, store)))
    mine = [job for job in world.jobs if job["prompt"] == "a cat"]
    assert [job["id"] for job in mine] == [video.id]


@settings(max_examples=200, deadline=None)
@given(tries=TRIES)
def test_without_a_store_the_list_alone_does_the_same(tries: list[dict[str, str]]) -> None:
    world = World()
    start = world.now
    tried: list[bool] = []

    def one_try() -> Video:
        since = start if tried else None
        tried.append(True)
        return submit(world, attempt(world, since=since))

    video = run_tries(world, tries, one_try)
    assert [job["id"] for job in world.jobs] == [video.id]


def test_the_same_crashes_pay_twice_where_nothing_is_remembered() -> None:
    """The tests above can fail: without the record a lost answer is paid for again."""
    world = World()
    world.faults = {"post": "dies after"}
    with pytest.raises(DiedError):
        submit(world, attempt(world))
    submit(world, attempt(world))
    assert len(world.jobs) == 2
