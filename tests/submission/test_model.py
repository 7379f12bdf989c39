"""The protocol, searched: siblings and other DAGs with one prompt, in any order, killed at any step, before any server.

What has to hold, whatever happens: no more is paid for than videos are wanted; no two tasks that can see each other
have one job; no task has a video that it did not ask for; every task ends.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from airflow_provider_sora import exceptions
from airflow_provider_sora.api.decisions import acceptance
from airflow_provider_sora.api.http.pages import Pages
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.submission import claims, lookup, matching, prompts, protocol, record, search
from airflow_provider_sora.submission.attempt import Attempt
from tests.submission.interleaving import Process, Schedule
from tests.submission.world import (
    MISTIMED,
    POST_FAULTS,
    REQUEST,
    REWORDED,
    UNCLEAR,
    DiedError,
    Job,
    Store,
    World,
    XCom,
    attempt,
    submit,
)

ARRANGED: dict[str, Callable[[list[Job]], list[Job]]] = {
    "newest first": lambda jobs: jobs,
    "oldest first": lambda jobs: jobs[::-1],
    "in no order": lambda jobs: sorted(jobs, key=lambda job: zlib.crc32(job["id"].encode())),
    "each twice": lambda jobs: [job for job in jobs for _ in range(2)],
}
_TRIES = 4


@dataclass(frozen=True)
class Server:
    """What kind of server it is; the names are keys of the tables."""

    shows: str = "as it was"
    times: str = "ISO"
    arranged: str = "newest first"
    lag: float = 0.0
    page_length: int = 100
    says_more: bool = True
    tells_time: bool = True
    ahead: float = 0.0
    lists: bool = True


@dataclass(frozen=True)
class Task:
    """One task: its DAG run, whether it has a store, how far its worker's clock is ahead."""

    run: int = 0
    has_store: bool = True
    clock: float = 0.0


@dataclass(frozen=True)
class Script:
    """All that happens."""

    server: Server
    tasks: tuple[Task, ...]
    choices: tuple[int, ...]
    posts: tuple[str, ...]
    lists: tuple[str, ...]
    old_job: bool
    others: int


SCRIPTS = st.builds(
    Script,
    server=st.builds(
        Server,
        shows=st.sampled_from([*REWORDED, *UNCLEAR]),
        times=st.sampled_from(list(MISTIMED)),
        arranged=st.sampled_from(list(ARRANGED)),
        lag=st.sampled_from([0.0, 8.0]),
        page_length=st.sampled_from([100, 10, 2]),
        says_more=st.booleans(),
        tells_time=st.booleans(),
        ahead=st.sampled_from([0.0, 500.0, -120.0]),
        lists=st.sampled_from([True, True, True, False]),
    ),
    tasks=st.lists(
        st.builds(Task, st.sampled_from([0, 0, 1]), st.booleans(), st.sampled_from([0.0, 120.0, -120.0])),
        min_size=1,
        max_size=3,
    ).map(tuple),
    choices=st.lists(st.integers(0, 95), max_size=80).map(tuple),
    posts=st.lists(st.sampled_from(["", *POST_FAULTS]), max_size=4).map(tuple),
    lists=st.lists(st.sampled_from(["", "", "fails", "empty"]), max_size=6).map(tuple),
    old_job=st.booleans(),
    others=st.sampled_from([1, 12]),
)


@dataclass
class Model(World):
    """The world, with what goes wrong as lists."""

    post_faults: Iterator[str] = field(default_factory=lambda: iter(()))
    list_faults: Iterator[str] = field(default_factory=lambda: iter(()))

    def fault(self, step: str) -> str:
        if step in ("post", "list"):
            return next(self.post_faults if step == "post" else self.list_faults, "")
        return ""


@dataclass
class Outcome:
    """What tasks had in the end; how often a user who was told has cleared one."""

    videos: dict[int, str] = field(default_factory=dict)
    told: int = 0


def play(script: Script) -> tuple[Model, Outcome]:
    """The world and the outcome after all of it."""
    server, schedule = script.server, Schedule(iter(script.choices))
    world = Model(
        ahead=server.ahead,
        tells_time=server.tells_time,
        lists=server.lists,
        shows=lambda job: MISTIMED[server.times]((REWORDED | UNCLEAR)[server.shows](job)),
        arranges=ARRANGED[server.arranged],
        lag=server.lag,
        page_length=server.page_length,
        says_more=server.says_more,
        at=schedule.at,
        post_faults=iter(script.posts),
        list_faults=iter(script.lists),
    )
    for _ in range(script.others):
        world.add(prompt="a dog", model="wan", seconds="8", size="32x32", status="completed")
        world.now += 200
    if script.old_job:
        world.now += 60
        world.add(**REQUEST.fields(), status="completed")
    world.now += 3_000
    outcome, xcoms = Outcome(), [XCom(world), XCom(world)]
    for index, task in enumerate(script.tasks):
        run = TaskRun(world, schedule, xcoms[task.run], outcome, index, task)
        schedule.processes.append(Process(run.run))
    schedule.run()
    return world, outcome


@dataclass
class TaskRun:
    """A task from its first try to its last, which a user clears once where it came to nothing."""

    world: Model
    schedule: Schedule
    xcom: XCom
    outcome: Outcome
    index: int
    task: Task

    def __post_init__(self) -> None:
        self.store = Store(self.world) if self.task.has_store else None
        self.begin = self.now()
        self.is_first = True

    def now(self) -> float:
        return self.world.now + self.task.clock

    def sleep(self, seconds: float) -> None:
        wakes = self.world.now + seconds
        self.schedule.at("sleep")
        self.world.now = max(self.world.now, wakes)

    def run(self) -> None:
        error = self.tries(0)
        if self.store is None or self.index in self.outcome.videos:
            return
        self.outcome.told += isinstance(error, exceptions.SoraUndecidedError)
        self.tries(1)

    def tries(self, generation: int) -> Exception | None:
        """Until one succeeds; the error of the last."""
        error: Exception | None = None
        for _ in range(_TRIES):
            try:
                self.one_try(generation)
            except exceptions.SoraError as failed:
                error = failed
                if not failed.retryable:
                    break
                self.world.now += 60
            except DiedError:
                self.world.now += 300
            else:
                return None
        return error

    def one_try(self, generation: int) -> None:
        since = None if self.is_first or self.store else self.begin
        self.is_first = False
        self.xcom.begin_try(self.index)
        known: dict[str, Any] = {"generation": generation, "since": since, "claims": self.xcom.of(self.index)}
        this = attempt(self.world, self.store, clock=self.now, sleep=self.sleep, **known)
        video = submit(self.world, this)
        self.xcom.jobs[self.index] = video.id
        self.outcome.videos[self.index] = video.id
        this.mark("done")


def check(script: Script) -> None:
    """What has to hold."""
    old = script.others + script.old_job
    world, outcome = play(script)
    wanted = (len(script.tasks) + outcome.told) * (1 + _may_be_sent_again(script))
    assert len(world.jobs) - old <= wanted, "paid for more than was wanted"
    for video_id in outcome.videos.values():
        if script.server.times == "an hour ahead" and not all(_was_all_seen(script, task) for task in script.tasks):
            continue  # known to remain: nothing but the clocks tells an old video from a new one
        assert int(video_id.removeprefix("video_")) >= old, "an old video was taken for a new one"
    for run in (0, 1):
        ids = [outcome.videos[i] for i, task in enumerate(script.tasks) if task.run == run and i in outcome.videos]
        assert len(ids) == len(set(ids)), "two tasks have one video"
    if _is_easy(script):
        assert len(outcome.videos) == len(script.tasks), "a task gave up on a server that tells all"


def _is_easy(script: Script) -> bool:
    """Whether nobody is killed, and the list always shows all there is."""
    server = script.server
    tells = (
        "invalid" not in script.posts
        and server.lists
        and server.shows in REWORDED
        and _was_all_seen(script, script.tasks[0])
    )
    return tells and all(task.has_store for task in script.tasks) and all(choice < 90 for choice in script.choices)


def _was_all_seen(script: Script, task: Task) -> bool:
    """Whether the list was read before the request was sent, and held all on its first page."""
    server = script.server
    return task.has_store and not any(script.lists) and server.page_length == 100 and server.says_more


def _may_be_sent_again(script: Script) -> bool:
    """A 503 with ``Retry-After`` is a refusal, by HTTP's own words: a gateway that means something else is found out by
    its list; where that shows nothing, the request is sent again, once.
    """
    shows_nothing = script.server.shows in UNCLEAR or any(script.lists) or not script.server.lists
    ends_by_mistake = not script.server.says_more and script.lists.count("empty") > 1  # twice, at the same page
    return ends_by_mistake or ("not now, accepted" in script.posts and shows_nothing)


SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


# `SORA_MODEL_EXAMPLES=20000` searches at random, for minutes; without it the same scripts are run each time.
_EXAMPLES = int(os.environ.get("SORA_MODEL_EXAMPLES", "0"))


@settings(max_examples=_EXAMPLES or 600, derandomize=not _EXAMPLES, deadline=None, suppress_health_check=SLOW)
@given(SCRIPTS)
def test_whatever_happens_nothing_is_paid_twice(script: Script) -> None:
    check(script)


# The search finds what it is there for: each of these defects was in the package once, or nearly.


def _plain_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """A prompt has to be shown as it was sent, and what is shown otherwise is somebody else's."""
    monkeypatch.setattr(matching, "likeness", lambda _, sent, shown: _LIKE[shown == sent])
    monkeypatch.setattr(matching, "_proves_echo", lambda *_: True)


_LIKE = {True: prompts.Likeness.SAME, False: prompts.Likeness.OTHER}


def _clocks_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "take_snapshot", lambda _: None)
    monkeypatch.setattr(matching, "CLOCK_SLACK_SECONDS", 0.0)


def _any_list_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "_nothing_new", lambda *_: matching.Nothing())


def _short_pages_are_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pages, "_is_last", lambda *_: True)


def _no_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "take", lambda _claims, _intent, videos, _sleep: videos[0])


def _read_before_publishing(monkeypatch: pytest.MonkeyPatch) -> None:
    def take(own: claims.Claims, intent: record.Record, videos: Sequence[Video], _sleep: Any) -> Video | None:
        others = claims._others(own, intent)
        free = [video for video in videos if not any(claims._is_of(other, video) for other in others)]
        if not free:
            return None
        claims.publish(own, intent, free[0].id, has_it=True)
        return free[0]

    monkeypatch.setattr(claims, "take", take)


def _what_siblings_took_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_MOST_LOOKS", 1)
    monkeypatch.setattr(search.Search, "_undecided", lambda *_: None)


def _only_ones_own_intent(monkeypatch: pytest.MonkeyPatch) -> None:
    def age(wanted: matching.Wanted, reading: matching.Reading, video: Video) -> Any:
        return matching._age_since(wanted.intents[0], reading, video)

    monkeypatch.setattr(matching, "_age", age)


def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_PAUSES", (0.0, 0.0, 0.0))


def _retry_after_means_no(monkeypatch: pytest.MonkeyPatch) -> None:
    def judge(error: exceptions.SoraError) -> acceptance.Acceptance:
        found = acceptance.acceptance_of(error)
        return acceptance.Acceptance.NO if found is acceptance.Acceptance.UNLIKELY else found

    monkeypatch.setattr(protocol, "acceptance_of", judge)


def _redirected_means_no(monkeypatch: pytest.MonkeyPatch) -> None:
    def judge(error: exceptions.SoraError) -> acceptance.Acceptance:
        is_redirect = isinstance(error, exceptions.SoraStatusError) and error.status_code < 400
        return acceptance.Acceptance.NO if is_redirect else acceptance.acceptance_of(error)

    monkeypatch.setattr(protocol, "acceptance_of", judge)


def _no_intent(monkeypatch: pytest.MonkeyPatch) -> None:
    save = Attempt.save

    def only_ids(self: Attempt, state: record.Record) -> record.Record:
        return save(self, state) if state.video_id is not None else state

    monkeypatch.setattr(Attempt, "save", only_ids)


def script(*posts: str, tasks: tuple[Task, ...] = (Task(),), server: Server | None = None, **more: Any) -> Script:
    """All goes well but for these answers to the POSTs."""
    known = {"choices": (), "lists": (), "old_job": False, "others": 1, **more}
    return Script(server=server or Server(), tasks=tasks, posts=posts, **known)


# Each defect with a script by which the search found it, in its shortest form.
PLANTS = {
    _plain_words: script("fails accepted", server=Server(shows="prompt cut with dots")),
    _clocks_alone: script("dies after", server=Server(times="70 s behind"), tasks=(Task(has_store=False),)),
    _any_list_will_do: script("dies after", tasks=(Task(has_store=False),), lists=("", "empty", "empty")),
    _short_pages_are_last: script(
        "dies after", server=Server(arranged="oldest first", page_length=10, says_more=False), others=12
    ),
    _no_claims: script("dies before", tasks=(Task(has_store=False),) * 3, choices=(0, 0, 0)),
    _read_before_publishing: script("dies before", "fails accepted", tasks=(Task(has_store=False),) * 2),
    _what_siblings_took_is_nothing: script(
        "dies after", server=Server(times="70 s behind", tells_time=False), tasks=(Task(has_store=False),)
    ),
    _only_ones_own_intent: script("dies after", "answer lost", tasks=(Task(),) * 2, choices=(0,) * 6 + (1,) * 3),
    _no_pauses: script("not now, accepted", server=Server(lag=12.0)),
    _retry_after_means_no: script("not now, accepted"),
    _redirected_means_no: script("redirected accepted"),
    _no_intent: script("dies after"),
}


@pytest.mark.parametrize(("plant", "found"), PLANTS.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_defect_that_is_planted_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], found: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(found)
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        check(found)


@pytest.mark.skipif(not _EXAMPLES, reason="takes minutes: SORA_MODEL_EXAMPLES=4000")
@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_the_search_finds_a_defect_that_is_planted(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)

    @settings(max_examples=_EXAMPLES, deadline=None, phases=[Phase.generate], suppress_health_check=SLOW)
    @given(SCRIPTS)
    def search_it(script: Script) -> None:
        check(script)

    with pytest.raises(AssertionError):
        search_it()
