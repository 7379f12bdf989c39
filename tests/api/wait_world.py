"""A server that answers anything, two clocks, and waits in front of it: what the model of waiting is made of."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import httpx

from airflow_provider_sora.api.client import AsyncSoraClient
from airflow_provider_sora.api.decisions.polling import LAST_POLL_SECONDS, MAX_FAILURES, Wait
from airflow_provider_sora.api.http.config import SoraConfig
from airflow_provider_sora.api.poller.poller import LAST_POLL_GRACE_SECONDS, Poller
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.exceptions import (
    SoraVideoFailedError,
    SoraVideoGoneError,
    SoraWaitError,
    SoraWaitTimeoutError,
)
from tests.api.conftest import answer, job, litellm_id
from tests.api.job_world import Recorder, page_of

START = 1_764_000_000.0
MIN_GAP, MAX_GAP = 1.0, 3600.0

Effect = Callable[["Answers", httpx.Request], httpx.Response | None]


def _page(status: int, text: str = "<html><center>nginx</center></html>") -> Effect:
    return lambda *_: httpx.Response(status, text=text)


def _json(status: int, payload: Any, **headers: str) -> Effect:
    return lambda *_: answer(payload, status, **headers)


def _raise(error: type[httpx.RequestError]) -> Effect:
    def effect(*_: object) -> httpx.Response:
        raise error("broken")

    return effect


def _other(status: int, state: str) -> Effect:
    error = {"code": 400, "message": "of another"} if state == "failed" else None
    return lambda *_: answer(job(state, "somebody_elses", mark="another", error=error), status)


# What may stand in for an answer. None of it says anything of the job, but for `own_404`.
EFFECTS: dict[str, Effect] = {
    **{f"page_{code}": _page(code) for code in (301, 304, 400, 401, 403, 404, 405, 413, 418, 421, 431, 502)},
    **{f"json_{code}": _json(code, {"error": {"message": "no"}}) for code in (302, 400, 401, 409, 422, 451, 500, 501)},
    "ingress_404": _page(404, "default backend - 404"),
    "empty_404": _page(404, ""),
    "no_route_404": _json(404, {"detail": "Not Found"}),
    "kong_404": _json(404, {"message": "no Route matched with those values"}),
    "garbage": _page(200, "<html>"),
    "half_json": _page(200, '{"id": "video'),
    "list_for_video": _json(200, [1]),
    "deep_json": _page(200, "[" * 100_000),
    "empty_200": _page(200, ""),
    "other_failed_502": _other(502, "failed"),
    "other_failed_400": _other(400, "failed"),
    "refused": _raise(httpx.ConnectError),
    "reset": _raise(httpx.ReadError),
    "silent": _raise(httpx.ReadTimeout),
    "busy": _json(429, {"error": "slow down"}),
    "busy_ten_years": _json(429, {"error": "slow down"}, retry_after="315360000"),
    "busy_epoch_ms": _json(503, {"error": "slow down"}, retry_after="1764000000000"),
    "busy_year_9999": _json(429, {}, retry_after="Fri, 31 Dec 9999 23:59:59 GMT"),
    "busy_no_pause": _json(429, {}, retry_after="0"),
    "later_500": _json(500, {}, retry_after="315360000"),
    "own_404": _json(404, {"error": {"message": "Video not found"}}),
}
LIST_EFFECTS = sorted(set(EFFECTS) - {"own_404", "other_failed_502", "other_failed_400"})
HINTS = ["1", "0", "999999999999999", "30000", "soon"]


@dataclass
class Job:
    """A job, and what the server has said of it."""

    id: str
    ends_at: float
    outcome: str
    listed: bool
    known: bool = True
    list_is_behind: bool = False
    polled_at: list[float] = field(default_factory=list)
    unanswered: int = 0  # polls in a row that said nothing of it, but for those that came too soon
    denied: int = 0  # times in a row that the API itself said it does not know the job, nothing else said of it since
    list_denied: bool = False  # since then the list was read to its end without it, or there is no list

    def as_seen(self, now: float) -> dict[str, Any]:
        ended = now >= self.ends_at
        status = self.outcome if ended else "in_progress"
        error = {"code": "oom", "message": self.id} if status == "failed" else None
        return job(status, self.id, mark=self.id, error=error)


class Answers:
    """The server."""

    def __init__(self, clock: Callable[[], float], chance: random.Random) -> None:
        self.clock = clock
        self.chance = chance
        self.jobs: dict[str, Job] = {}
        self.spells: list[tuple[float, str, str, float]] = []  # until, where, effect, how often
        self.hint: str | None = None
        self.delay = 0.05
        self.has_list = True
        self.wraps_ids = False
        self.last_list_at = 0.0

    async def handle(self, request: httpx.Request) -> httpx.Response:
        is_list = request.url.path.endswith("/videos")
        where = "list" if is_list else "job"
        asked = None if is_list else self.jobs[request.url.path.rpartition("/")[2]]
        if asked:
            asked.polled_at.append(self.clock())
            asked.unanswered += 1
        else:
            self.last_list_at = self.clock()
        await asyncio.sleep(self.delay)
        for until, place, name, share in self.spells:
            if place == where and self.clock() < until and self.chance.random() < share:
                if asked:
                    asked.denied += name == "own_404"
                    asked.unanswered -= name.startswith("busy")
                instead = EFFECTS[name](self, request)
                if instead is not None:
                    return instead
        return self._list() if asked is None else self._retrieve(asked)

    def _retrieve(self, asked: Job) -> httpx.Response:
        if not asked.known:
            asked.denied += 1
            return answer({"detail": f"Video {asked.id} not found"}, 404)
        asked.denied, asked.unanswered, asked.list_denied = 0, 0, False
        seen = asked.as_seen(self.clock())
        hint = {} if self.hint is None else {"openai_poll_after_ms": self.hint}
        return answer(seen, self.chance.choice([200, 500]) if seen["status"] == "failed" else 200, **hint)

    def _list(self) -> httpx.Response:
        shown = [one for one in self.jobs.values() if one.known and one.listed and self.has_list]
        for one in self.jobs.values():
            one.list_denied = one not in shown
        if not self.has_list:
            return answer({"detail": "Method Not Allowed"}, 405)
        data = [one.as_seen(0.0 if one.list_is_behind else self.clock()) for one in shown]
        if self.wraps_ids:
            data = [one | {"id": litellm_id(one["id"])} for one in data]
        return answer(page_of(data))


@dataclass
class Waited:
    """A wait, and when it has to be over."""

    job: Job
    task: asyncio.Task[Video]
    begun_at: float
    ends_by: float
    interval: float
    is_judged: bool = False


class WaitWorld:
    """Server, clocks and waits; `check` finds what is wrong."""

    def __init__(self, seed: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.clock = self.loop.time
        self.skew = START
        self.chance = random.Random(seed)  # noqa: S311 - no secret
        self.server = Answers(self.clock, self.chance)
        self.poller = Poller(
            self._open, Recorder(), lambda: None, wall_clock=self.wall, jitter=lambda: self.chance.random()
        )
        self.waits: list[Waited] = []
        self.clients: list[AsyncSoraClient] = []

    def wall(self) -> float:
        """The wall clock, which anybody may set."""
        return self.clock() + self.skew

    async def _open(self) -> AsyncSoraClient:
        transport = httpx.MockTransport(self.server.handle)
        config = SoraConfig("http://server", api_key="key-1")
        return AsyncSoraClient(config, transport=transport, clock=self.wall, monotonic=self.clock)

    async def start(self, made: Job, *, seconds: float, interval: float, by_client: bool, fresh: bool) -> None:
        """Wait for a job, by the poller or by a client of its own."""
        wait = Wait(made.id, self.wall() + seconds, interval, self.wall() if fresh else None)
        grace = LAST_POLL_SECONDS if by_client else LAST_POLL_GRACE_SECONDS
        if by_client:
            client = await self._open()
            self.clients.append(client)
            work = client.wait(wait)
        else:
            work = self.poller.wait(wait, lambda _: None)
        now = self.clock()
        task = self.loop.create_task(work)
        self.waits.append(Waited(made, task, now, now + seconds + grace + 1, interval))

    def check(self) -> None:
        """Whether all that has happened so far is right."""
        for waited in self.waits:
            self._check_gaps(waited)
            if waited.task.done():
                if not waited.is_judged:
                    waited.is_judged = True
                    self._check_result(waited)
            else:
                assert self.clock() <= waited.ends_by, "the wait did not end by its deadline"

    def _check_gaps(self, waited: Waited) -> None:
        times = waited.job.polled_at
        same = [one for one in self.waits if one.job is waited.job]
        for before, after in pairwise(times):
            is_last = any(abs(after - one.ends_by) < MAX_LAST_POLL for one in same)
            is_first = any(before <= one.begun_at <= after for one in same)  # it knows nothing of those before it
            assert after - before >= MIN_GAP - 0.0011 or is_last or is_first, f"polls {after - before} s apart"
        if not waited.task.done():
            newest = max([waited.begun_at, self.server.last_list_at, *times[-1:]])
            assert self.clock() - newest <= MAX_GAP + 60, "nobody looks any more"

    def _check_result(self, waited: Waited) -> None:
        made = waited.job
        if waited.task.cancelled():
            return
        error = waited.task.exception()
        if error is None:
            video = waited.task.result()
            assert (video.id, (video.model_extra or {})["mark"]) == (made.id, made.id), "another job's result"
            assert (made.outcome, self.clock() >= made.ends_at) == ("completed", True)
        elif isinstance(error, SoraVideoGoneError):
            assert made.denied >= 3, f"the server said {made.denied} times that it does not know the job"
            assert made.list_denied, "the list shows the job, or was not asked"
        elif isinstance(error, SoraVideoFailedError):
            assert (error.message, made.outcome) == (made.id, "failed"), "another job's failure"
        else:
            assert isinstance(error, SoraWaitError), error
            if not isinstance(error, SoraWaitTimeoutError):
                assert made.unanswered >= MAX_FAILURES, f"given up after {made.unanswered} polls: {error}"

    async def close(self) -> None:
        """End what is left."""
        for waited in self.waits:
            waited.task.cancel()
        await asyncio.gather(*(waited.task for waited in self.waits), return_exceptions=True)
        for client in self.clients:
            await client.close()
        await asyncio.sleep(100)


# A last poll comes at the deadline, or at a restart of the wait's last second: see `pauses`.
MAX_LAST_POLL = LAST_POLL_GRACE_SECONDS + 3
