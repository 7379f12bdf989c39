"""A simulated server whose list may have any defect, and a task state store."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

import httpx
import pytest

from airflow_provider_sora.api.client import SoraClient
from airflow_provider_sora.api.decisions.retry import RequestRetryPolicy
from airflow_provider_sora.api.http.config import SoraConfig
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.api.protocol.requests import CreateVideo, JobRequest
from airflow_provider_sora.exceptions import SoraError
from airflow_provider_sora.submission import Attempt, submit_once
from airflow_provider_sora.submission.prompts import PromptDigest
from tests.submission.list_variants import Job, unchanged
from tests.submission.responses import ACCEPTED, NOT_ACCEPTED

REQUEST = CreateVideo(prompt="a cat", model="wan", seconds="4", size="64x64")
PROMPT_DIGEST = PromptDigest.of(REQUEST.prompt)


class DiedError(BaseException):
    """The process was killed at this line."""


def _nothing(_: str) -> None:
    """No other process runs."""


@dataclass
class World:
    """A server, its jobs, and what goes wrong next, by the name of the step.

    :param clock_ahead: how far the server's clock is ahead of the worker's, in seconds
    :param sends_date: whether its responses have a ``Date``
    :param lists: whether it has a list; None: a gateway responds in its place
    :param shows: what its list makes of a job
    :param arranges: the order of its list; newest first by default
    :param lag: seconds until the list shows a job
    :param page_length: the maximum length of a page, whatever the request asks for
    :param sends_has_more: whether its pages state that others follow
    :param on_step: called at each step, before it is done: other processes may run there, or this one may die
    """

    faults: dict[str, str] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)
    posts: int = 0
    requests: list[str] = field(default_factory=list)
    limits: set[str] = field(default_factory=set)
    now: float = 1_000_000.0
    clock_ahead: float = 500.0
    sends_date: bool = True
    lists: bool | None = True
    shows: Callable[[Job], Job] = unchanged
    arranges: Callable[[list[Job]], list[Job]] = lambda jobs: jobs
    lag: float = 0.0
    page_length: int = 100
    sends_has_more: bool = True
    on_step: Callable[[str], None] = _nothing

    def fault(self, step: str) -> str:
        return self.faults.pop(step, "")

    def fault_at_each_request(self, **faults: str) -> None:
        """Let these faults happen whenever they can, and not only once."""
        self.on_step = lambda step: self.faults.update(faults) if step == "request" else None

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.now += 1
        self.requests.append(f"{request.method} {request.url.path}")
        self.on_step("request")
        response = self._handle(request)
        self.on_step("response")
        return response

    def _handle(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return self._post(json.loads(request.read()))
        if request.url.path.endswith("/videos"):
            return self._list(request.url.params)
        fault = self.fault("retrieve")
        found = [job for job in self.jobs if job["id"] == request.url.path.rpartition("/")[2]]
        return self._respond(found[0]) if found and not fault else self._respond({"error": "no such video"}, 404)

    def _post(self, body: Job) -> httpx.Response:
        self.posts += 1
        fault = self.fault("post")
        if fault == "dies before":
            raise DiedError
        if fault == "no connection":
            raise httpx.ConnectError("refused")
        if fault in NOT_ACCEPTED:
            return NOT_ACCEPTED[fault](self._headers())
        job = self.add(**body)
        if fault == "dies after":
            raise DiedError
        if fault == "no response":
            raise httpx.ReadTimeout("slow")
        if fault in ACCEPTED:
            return ACCEPTED[fault](self._headers())
        return self._respond(job)

    def _list(self, query: httpx.QueryParams) -> httpx.Response:
        self.limits.add(query["limit"])
        fault = self.fault("list")
        if fault == "dies":
            raise DiedError
        if self.lists is None:
            return httpx.Response(404, text="default backend - 404")
        if fault == "fails" or not self.lists:
            return self._respond({"error": "no"}, 500 if self.lists else 405)
        jobs = [] if fault == "empty" else [job for job in reversed(self.jobs) if job["_at"] + self.lag <= self.now]
        shown = [self._public(self.shows(dict(job))) for job in self.arranges(jobs)]
        ids = [job["id"] for job in shown]
        begin = ids.index(query["after"]) + 1 if query.get("after") in ids else 0
        page = shown[begin : begin + min(self.page_length, int(query["limit"]))]
        more = {"has_more": begin + len(page) < len(shown)} if self.sends_has_more else {}
        last = page[-1]["id"] if page else None
        return self._respond({"object": "list", "data": page, "last_id": last, **more})

    def add(self, **fields: Any) -> Job:
        created = int(self.now + self.clock_ahead)
        job = {"id": f"video_{len(self.jobs)}", "status": "queued", "created_at": created, "_at": self.now, **fields}
        self.jobs.append(job)
        return job

    @staticmethod
    def _public(job: Job) -> Job:
        return {name: value for name, value in job.items() if not name.startswith("_")}

    def _respond(self, payload: Any, status: int = 200) -> httpx.Response:
        public = self._public(payload) if isinstance(payload, dict) else payload
        return httpx.Response(status, json=public, headers=self._headers())

    def _headers(self) -> dict[str, str]:
        return {"Date": formatdate(self.now + self.clock_ahead, usegmt=True)} if self.sends_date else {}

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Store:
    """A task state store. The process may die before or after it writes."""

    world: World
    values: dict[str, Any] = field(default_factory=dict)

    def get(self, key: str) -> Any:
        return self.values.get(key)

    def set(self, key: str, value: dict[str, Any]) -> None:
        self.world.on_step("store")
        step = "id" if value["video_id"] else "intent"
        fault = self.world.fault(step)
        if fault == "dies before":
            raise DiedError
        self.values[key] = json.loads(json.dumps(value))
        if fault == "dies after":
            raise DiedError

    def delete(self, key: str) -> None:
        self.values.pop(key, None)


def attempt(world: World, store: Store | None = None, **fields: Any) -> Attempt:
    return Attempt(**{"store": store, "clock": lambda: world.now, "sleep": world.sleep, **fields})


def client(world: World, **options: Any) -> SoraClient:
    return SoraClient(
        SoraConfig("http://server"),
        **{
            "policy": RequestRetryPolicy(attempts=1),
            "transport": httpx.MockTransport(world.handle),
            "clock": lambda: world.now,
            "sleep": world.sleep,
            **options,
        },
    )


def submit(world: World, try_: Attempt, request: JobRequest = REQUEST) -> Video:
    with client(world) as connection:
        return submit_once(connection, request, try_)


def fail_a_try(world: World, store: Store | None, fault: str = "dies after", request: JobRequest = REQUEST) -> None:
    """A try whose create ends in this fault, and the time until the next try."""
    world.faults = {"post": fault}
    with pytest.raises((DiedError, SoraError)):
        submit(world, attempt(world, store), request)
    world.faults = {}
    world.now += 300
