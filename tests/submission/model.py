"""A model of the protocol: tasks and a server that run any script of faults, and what has to hold afterwards.

No more is paid for than videos are wanted; no two tasks that can see each other have the same job; no task has a video
that it did not ask for; every task ends.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from airflow_provider_sora import exceptions
from tests.submission.interleaving import Process, Schedule
from tests.submission.list_variants import MISTIMED, REWORDED, UNCLEAR, Job
from tests.submission.responses import POST_FAULTS
from tests.submission.world import REQUEST, DiedError, Store, World, attempt, submit
from tests.submission.xcom import XCom

ARRANGED: dict[str, Callable[[list[Job]], list[Job]]] = {
    "newest first": lambda jobs: jobs,
    "oldest first": lambda jobs: jobs[::-1],
    "in no order": lambda jobs: sorted(jobs, key=lambda job: zlib.crc32(job["id"].encode())),
    "each twice": lambda jobs: [job for job in jobs for _ in range(2)],
}
_TRIES = 4


@dataclass(frozen=True)
class Server:
    """What kind of server it is; the strings are keys of the tables in `list_variants`."""

    shows: str = "unchanged"
    times: str = "ISO"
    arranged: str = "newest first"
    lag: float = 0.0
    page_length: int = 100
    sends_has_more: bool = True
    sends_date: bool = True
    clock_ahead: float = 0.0
    lists: bool = True


@dataclass(frozen=True)
class Task:
    """One task: its DAG run, whether it has a store, and how far its worker's clock is ahead."""

    run: int = 0
    has_store: bool = True
    clock: float = 0.0


@dataclass(frozen=True)
class Script:
    """Everything that happens, as data."""

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
        sends_has_more=st.booleans(),
        sends_date=st.booleans(),
        clock_ahead=st.sampled_from([0.0, 500.0, -120.0]),
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
class ScriptedWorld(World):
    """The world, with the faults of its POSTs and of its list in order."""

    post_faults: Iterator[str] = field(default_factory=lambda: iter(()))
    list_faults: Iterator[str] = field(default_factory=lambda: iter(()))

    def fault(self, step: str) -> str:
        if step in ("post", "list"):
            return next(self.post_faults if step == "post" else self.list_faults, "")
        return ""


@dataclass
class Outcome:
    """Which video each task has in the end, and how often a user cleared a task after `SoraUndecidedError`."""

    videos: dict[int, str] = field(default_factory=dict)
    waived: int = 0


def play(script: Script) -> tuple[ScriptedWorld, Outcome]:
    """Run all tasks to their ends; the world and the outcome afterwards."""
    server, schedule = script.server, Schedule(iter(script.choices))
    world = ScriptedWorld(
        clock_ahead=server.clock_ahead,
        sends_date=server.sends_date,
        lists=server.lists,
        shows=lambda job: MISTIMED[server.times]((REWORDED | UNCLEAR)[server.shows](job)),
        arranges=ARRANGED[server.arranged],
        lag=server.lag,
        page_length=server.page_length,
        sends_has_more=server.sends_has_more,
        on_step=schedule.on_step,
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
    """A task from its first try to its last; a user clears it once if it has no video then."""

    world: ScriptedWorld
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
        self.schedule.on_step("sleep")
        self.world.now = max(self.world.now, wakes)

    def run(self) -> None:
        error = self.tries(0)
        if self.store is None or self.index in self.outcome.videos:
            return
        self.outcome.waived += isinstance(error, exceptions.SoraUndecidedError)
        self.tries(1)

    def tries(self, generation: int) -> Exception | None:
        """Run tries until one succeeds; the error of the last one if none does."""
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
        known: dict[str, Any] = {"may_have_submitted_since": since, "claims": self.xcom.of(self.index)}
        this = attempt(self.world, self.store, generation=generation, clock=self.now, sleep=self.sleep, **known)
        video = submit(self.world, this)
        self.xcom.jobs[self.index] = video.id
        self.outcome.videos[self.index] = video.id
        this.mark("done")


def check(script: Script) -> None:
    """Run a script and assert what the module promises."""
    old = script.others + script.old_job
    world, outcome = play(script)
    wanted = (len(script.tasks) + outcome.waived) * (1 + _may_be_resent(script))
    assert len(world.jobs) - old <= wanted, "more jobs were paid for than were wanted"
    for video_id in outcome.videos.values():
        snapshots_are_complete = all(_snapshot_is_complete(script, task) for task in script.tasks)
        if script.server.times == "an hour ahead" and not snapshots_are_complete:
            continue  # a known limit: only the clocks could tell an old video from a new one
        assert int(video_id.removeprefix("video_")) >= old, "a task has an old video"
    for run in (0, 1):
        ids = [outcome.videos[i] for i, task in enumerate(script.tasks) if task.run == run and i in outcome.videos]
        assert len(ids) == len(set(ids)), "two tasks of one run have the same video"
    if _is_easy(script):
        assert len(outcome.videos) == len(script.tasks), "a task failed on a server that shows everything"


def _is_easy(script: Script) -> bool:
    """Whether no process is killed, and the list always shows every job."""
    server = script.server
    shows_all = (
        "400" not in script.posts
        and server.lists
        and server.shows in REWORDED
        and _snapshot_is_complete(script, script.tasks[0])
    )
    return shows_all and all(task.has_store for task in script.tasks) and all(choice < 90 for choice in script.choices)


def _snapshot_is_complete(script: Script, task: Task) -> bool:
    """Whether the list was read before the create was sent, and its first page held every job."""
    server = script.server
    return task.has_store and not any(script.lists) and server.page_length == 100 and server.sends_has_more


def _may_be_resent(script: Script) -> bool:
    """Whether the create of an accepted job may be sent a second time.

    HTTP defines a 503 with ``Retry-After`` as a refusal. If a gateway has accepted the create all the same, only the
    list can show that; if it does not, the create is sent again, once.
    """
    list_proves_nothing = script.server.shows in UNCLEAR or any(script.lists) or not script.server.lists
    # Both reads that confirm each other end at the same page, which is empty by mistake.
    list_ends_early = not script.server.sends_has_more and script.lists.count("empty") > 1
    return list_ends_early or ("503 for 5 s, accepted" in script.posts and list_proves_nothing)
