"""A simulated server with a list that may be of any kind, a task state store and the XCom of a DAG run."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from email.utils import formatdate
from typing import Any

import httpx

from airflow_provider_sora.api.client import SoraClient
from airflow_provider_sora.api.decisions.retry import RequestRetryPolicy
from airflow_provider_sora.api.http.config import SoraConfig
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.api.protocol.requests import CreateVideo, JobRequest
from airflow_provider_sora.submission import Attempt, submit_once
from airflow_provider_sora.submission.claims import Claim, Taken
from airflow_provider_sora.submission.prompts import PromptDigest

REQUEST = CreateVideo(prompt="a cat", model="wan", seconds="4", size="64x64")
PROMPT_DIGEST = PromptDigest.of(REQUEST.prompt)
Job = dict[str, Any]


class DiedError(BaseException):
    """The process is gone: nothing after this line has run."""


def _same(job: Job) -> Job:
    return job


def _nothing(_: str) -> None:
    """Nobody else runs."""


@dataclass
class World:
    """A server, its jobs, and what is to go wrong next, by the name of the step.

    :param ahead: of the worker's clock, in seconds
    :param tells_time: whether its answers have a ``Date``
    :param lists: whether it has a list; None: a gateway answers in its place
    :param shows: what its list makes of a job
    :param lag: seconds until the list shows a job
    :param page_length: the most that a page holds, whatever was asked for
    :param at: called at each step, before it is done; where others may run, or the process may die
    """

    faults: dict[str, str] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)
    posts: int = 0
    requests: list[str] = field(default_factory=list)
    limits: set[str] = field(default_factory=set)
    now: float = 1_000_000.0
    ahead: float = 500.0
    tells_time: bool = True
    lists: bool | None = True
    shows: Callable[[Job], Job] = _same
    arranges: Callable[[list[Job]], list[Job]] = lambda jobs: jobs
    lag: float = 0.0
    page_length: int = 100
    says_more: bool = True
    at: Callable[[str], None] = _nothing

    def fault(self, step: str) -> str:
        return self.faults.pop(step, "")

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.now += 1
        self.requests.append(f"{request.method} {request.url.path}")
        self.at("request")
        answer = self._handle(request)
        self.at("answer")
        return answer

    def _handle(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return self._post(json.loads(request.read()))
        if request.url.path.endswith("/videos"):
            return self._list(request.url.params)
        fault = self.fault("retrieve")
        found = [job for job in self.jobs if job["id"] == request.url.path.rpartition("/")[2]]
        return self._answer(found[0]) if found and not fault else self._answer({"error": "no such video"}, 404)

    def _post(self, body: Job) -> httpx.Response:
        self.posts += 1
        fault = self.fault("post")
        if fault == "dies before":
            raise DiedError
        if fault == "not sent":
            raise httpx.ConnectError("refused")
        if fault in _UNACCEPTED:
            return _UNACCEPTED[fault](self._headers())
        job = self.add(**body)
        if fault == "dies after":
            raise DiedError
        if fault == "answer lost":
            raise httpx.ReadTimeout("slow")
        if fault in _ACCEPTED:
            return _ACCEPTED[fault](self._headers())
        return self._answer(job)

    def _list(self, asked: httpx.QueryParams) -> httpx.Response:
        self.limits.add(asked["limit"])
        fault = self.fault("list")
        if fault == "dies":
            raise DiedError
        if self.lists is None:
            return httpx.Response(404, text="default backend - 404")
        if fault == "fails" or not self.lists:
            return self._answer({"error": "no"}, 500 if self.lists else 405)
        jobs = [] if fault == "empty" else [job for job in reversed(self.jobs) if job["_at"] + self.lag <= self.now]
        shown = [self._public(self.shows(dict(job))) for job in self.arranges(jobs)]
        ids = [job["id"] for job in shown]
        begin = ids.index(asked["after"]) + 1 if asked.get("after") in ids else 0
        page = shown[begin : begin + min(self.page_length, int(asked["limit"]))]
        more = {"has_more": begin + len(page) < len(shown)} if self.says_more else {}
        last = page[-1]["id"] if page else None
        return self._answer({"object": "list", "data": page, "last_id": last, **more})

    def add(self, **fields: Any) -> Job:
        created = int(self.now + self.ahead)
        job = {"id": f"video_{len(self.jobs)}", "status": "queued", "created_at": created, "_at": self.now, **fields}
        self.jobs.append(job)
        return job

    @staticmethod
    def _public(job: Job) -> Job:
        return {name: value for name, value in job.items() if not name.startswith("_")}

    def _answer(self, payload: Any, status: int = 200) -> httpx.Response:
        public = self._public(payload) if isinstance(payload, dict) else payload
        return httpx.Response(status, json=public, headers=self._headers())

    def _headers(self) -> dict[str, str]:
        return {"Date": formatdate(self.now + self.ahead, usegmt=True)} if self.tells_time else {}

    def sleep(self, seconds: float) -> None:
        self.now += seconds


Answer = Callable[[dict[str, str]], httpx.Response]


def _status(status: int, body: Any = None, **more: str) -> Answer:
    return lambda headers: httpx.Response(status, json=body or {"error": "no"}, headers={**headers, **more})


_UNACCEPTED: dict[str, Answer] = {
    "refused": _status(429),
    "invalid": _status(400),
    "fails unaccepted": _status(500),
    "busy": _status(503, {"detail": "Server is busy: limit of 1 concurrent tasks reached"}),
    "not now": _status(503, **{"Retry-After": "5"}),
    "not for 30 s": _status(503, **{"Retry-After": "30"}),
    "not for 20 s": _status(503, **{"Retry-After": "20"}),
    "not for 31 s": _status(503, **{"Retry-After": "31"}),
    "redirected unaccepted": _status(302, Location="http://other/"),
}
_ACCEPTED: dict[str, Answer] = {
    "fails accepted": _status(502),
    "upstream timed out": _status(408),
    "gibberish": lambda headers: httpx.Response(200, text="ok", headers=headers),
    "not now, accepted": _status(503, **{"Retry-After": "5"}),
    "redirected accepted": _status(307, Location="http://other/"),
}
POST_FAULTS = ["dies before", "dies after", "not sent", "answer lost", *_UNACCEPTED, *_ACCEPTED]


@dataclass
class Store:
    """A task state store, which may die before or after it has written."""

    world: World
    values: dict[str, Any] = field(default_factory=dict)

    def get(self, key: str) -> Any:
        return self.values.get(key)

    def set(self, key: str, value: dict[str, Any]) -> None:
        self.world.at("store")
        step = "id" if value["video_id"] else "intent"
        fault = self.world.fault(step)
        if fault == "dies before":
            raise DiedError
        self.values[key] = json.loads(json.dumps(value))
        if fault == "dies after":
            raise DiedError

    def delete(self, key: str) -> None:
        self.values.pop(key, None)


@dataclass
class XCom:
    """What mapped siblings tell each other: each has its own values, which a new try of it deletes."""

    world: World
    claims: dict[int, dict[str, Claim]] = field(default_factory=dict)
    jobs: dict[int, str] = field(default_factory=dict)

    def of(self, index: int) -> Siblings:
        return Siblings(self, index)

    def begin_try(self, index: int) -> None:
        self.claims.pop(index, None)
        self.jobs.pop(index, None)


@dataclass
class Siblings:
    """The claims as one of them sees them."""

    xcom: XCom
    index: int

    def taken(self) -> list[Taken]:
        self.xcom.world.at("claims")
        taken = [video_id for index, video_id in self.xcom.jobs.items() if index != self.index]
        return [Taken(video_id=video_id, prompt=PROMPT_DIGEST, model=REQUEST.model) for video_id in taken]

    def siblings(self, prompt: str) -> Sequence[Claim]:
        self.xcom.world.at("claims")
        return [own[prompt] for index, own in self.xcom.claims.items() if index != self.index and prompt in own]

    def publish(self, prompt: str, claim: Claim) -> None:
        self.xcom.world.at("claims")
        self.xcom.claims.setdefault(self.index, {})[prompt] = claim


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


# What lists were seen to make of a job, each of which was paid twice before.
REWORDED: dict[str, Callable[[Job], Job]] = {
    "as it was": _same,
    "model with a provider": lambda job: {**job, "model": f"openai/{job['model']}"},
    "another model": lambda job: {**job, "model": "Wan-AI/Wan2.2-T2V-A14B-Diffusers"},
    "no model": lambda job: {**job, "model": None},
    "4.00": lambda job: {**job, "seconds": "4.00"},
    "4.0625": lambda job: {**job, "seconds": "4.0625"},
    "4s": lambda job: {**job, "seconds": "4s"},
    "rounded size": lambda job: {**job, "size": "64x48"},
    "64*64": lambda job: {**job, "size": "64*64"},
    "480p": lambda job: {**job, "size": "480p"},
    "64 x 64": lambda job: {**job, "size": "64 x 64"},
    "white space collapsed": lambda job: {**job, "prompt": " ".join(job["prompt"].split())},
    "CRLF": lambda job: {**job, "prompt": job["prompt"].replace("\n", "\r\n")},
    "HTML escapes": lambda job: {**job, "prompt": job["prompt"].replace("&", "&amp;").replace("'", "&#39;")},
    "without emoji": lambda job: {**job, "prompt": job["prompt"].replace("🐈", "")},
}
# … and what nothing can be told from: it is not paid twice, and not taken for another job either.
UNCLEAR: dict[str, Callable[[Job], Job]] = {
    "prompt cut": lambda job: {**job, "prompt": job["prompt"][:12]},
    "prompt cut with dots": lambda job: {**job, "prompt": job["prompt"][:12] + "..."},
    "prompt rewritten": lambda job: {**job, "prompt": f"A photograph of {job['prompt']}"},
    "no prompt": lambda job: {**job, "prompt": None},
}
MISTIMED: dict[str, Callable[[Job], Job]] = {
    "70 s behind": lambda job: {**job, "created_at": job["created_at"] - 70},
    "an hour ahead": lambda job: {**job, "created_at": job["created_at"] + 3600},
    "none": lambda job: {**job, "created_at": None},
    "naive time of another zone": lambda job: {**job, "created_at": _naive(job["created_at"], -8)},
    "milliseconds": lambda job: {**job, "created_at": job["created_at"] * 1000},
    "ISO": lambda job: {**job, "created_at": datetime.fromtimestamp(job["created_at"], UTC).isoformat()},
}


def _naive(created_at: float, hours: int) -> str:
    return datetime.fromtimestamp(created_at, timezone(timedelta(hours=hours))).replace(tzinfo=None).isoformat()
