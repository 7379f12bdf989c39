"""A small Airflow with several triggerers, in which the real trigger cancels: one task, its jobs, its users.

Airflow is simulated as the code of 3.3.2 works (`Trigger.clean_unused`, `Trigger.assign_unassigned`,
`TriggerRunnerSupervisor.update_triggers`, `DAG.clear`); the clock stops between steps.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

from airflow_provider_sora.api.http.steps import Flow, Send, advance
from airflow_provider_sora.api.protocol.requests import DeleteVideo, RetrieveVideo
from airflow_provider_sora.api.protocol.response import Response
from airflow_provider_sora.triggers.safe_to_cancel import DELETED
from airflow_provider_sora.triggers.sora import KILL_SECONDS, SoraVideoTrigger
from airflow_provider_sora.triggers.stalls import REMEMBER_SECONDS, StallDetector
from tests.api.virtual_time import VirtualTimeLoop

StateResponse = Literal["in time", "late", "error", "none", "stall"]
ResultT = TypeVar("ResultT")
Resume = Literal["with the video", "with an error"]

HEALTH_THRESHOLD_SECONDS = 30.0
_USERS = frozenset({None, "scheduled", "queued", "running", "success", "failed", DELETED})
_CLEARED = frozenset({None, "scheduled", "queued", "running"})


@dataclass
class Task:
    """A task instance.

    :param wait: the trigger that it is deferred to
    :param job: in its record
    :param published: in XCom, which Airflow deletes when a try begins
    """

    state: str | None = None
    wait: int | None = None
    job: str | None = None
    published: str | None = None
    resume: Resume | None = None
    retries: int = 1
    exists: bool = True

    @property
    def has_ended(self) -> bool:
        return not self.exists or self.state in ("success", "failed", "skipped")


@dataclass
class Row:
    """A trigger in the database."""

    job: str
    owner: int | None = None
    user_acted: bool = False


class Triggerer:
    """A process that runs triggers, unless it is paused or dead."""

    def __init__(self, world: World) -> None:
        self.running: dict[int, SoraVideoTrigger] = {}
        self.alive, self.paused = True, False
        self.heartbeat = world.now
        self.resumed_at = float("-inf")
        self.stalls = StallDetector(HEALTH_THRESHOLD_SECONDS / 2, lambda: (world.now, world.now))

    @property
    def works(self) -> bool:
        return self.alive and not self.paused


@dataclass
class World:
    """The whole world; `abandoned` holds the jobs that users have given up."""

    reuse: bool = False
    now: float = 0.0
    task: Task = field(default_factory=Task)
    rows: dict[int, Row] = field(default_factory=dict)
    jobs: dict[str, str] = field(default_factory=dict)
    abandoned: set[str] = field(default_factory=set)
    triggerers: list[Triggerer] = field(default_factory=list)
    response: StateResponse = "in time"
    server_works: bool = True
    killing: Triggerer | None = None
    waits: int = 0
    dies_early: bool = False

    # Airflow's scheduler and workers

    def schedule(self) -> None:
        """Move the task to its next state."""
        following = {None: "scheduled", "up_for_retry": "scheduled", "scheduled": "queued", "queued": "running"}
        if not self.task.exists:
            return
        if self.task.state == "running":
            self._work()
        elif self.task.state in following:
            self.task.state = following[self.task.state]

    def _work(self) -> None:
        task = self.task
        resume, task.resume = task.resume, None
        if resume == "with the video":
            task.state = "success"
        elif resume == "with an error":
            self._fail()
        else:
            self._try()

    def _fail(self) -> None:
        self.task.state = "up_for_retry" if self.task.retries > 0 else "failed"
        self.task.retries -= 1

    def _try(self) -> None:
        self.task.published = None
        if self.dies_early:
            self.dies_early = False
            self._fail()
            return
        if self.task.job is None:
            self.task.job = f"video_{len(self.jobs)}"
            self.jobs[self.task.job] = "in_progress"
        self.task.published = self.task.job
        status = self.jobs[self.task.job]
        assert status != "deleted", "a try finds that its job was deleted"
        if status == "completed":
            self.task.state = "success"
            return
        self.waits += 1
        self.rows[self.waits] = Row(self.task.job)
        self.task.state, self.task.wait = "deferred", self.waits

    def submit_event(self, wait: int, resume: Resume) -> None:
        """A triggerer, or the scheduler, ends a wait: only the first one counts."""
        if self.task.exists and self.task.state == "deferred" and self.task.wait == wait:
            self.task.state, self.task.wait, self.task.resume = "scheduled", None, resume

    def time_out(self) -> None:
        """The scheduler ends a wait that lasts longer than Airflow's own timeout."""
        wait = self.task.wait
        if wait is None:
            return
        for triggerer in self.triggerers:
            if wait in triggerer.running:
                triggerer.running[wait].timeout_after = datetime.now(UTC)  # type: ignore[attr-defined]
        self.submit_event(wait, "with an error")

    # Triggerers

    def pass_time(self, seconds: int) -> None:
        """Let time pass: each working triggerer ticks, beats and, unless it is killing, updates its triggers."""
        for _ in range(seconds):
            self.now += 1.0
            for triggerer in self.triggerers:
                if triggerer.works:
                    triggerer.stalls._check()
                    triggerer.heartbeat = self.now
                    if triggerer is not self.killing:
                        self._load(triggerer)

    def _load(self, triggerer: Triggerer) -> None:
        me = self.triggerers.index(triggerer)
        for wait in [wait for wait in self.rows if not self._is_needed(wait)]:
            del self.rows[wait]
        for row in self.rows.values():
            if row.owner is None or not self._is_alive(self.triggerers[row.owner]):
                row.owner = me
        for wait, row in self.rows.items():
            if row.owner == me and wait not in triggerer.running:
                triggerer.running[wait] = self._start(row, triggerer)
        if self.killing is None:
            for wait in [wait for wait in triggerer.running if wait not in self.rows or self.rows[wait].owner != me]:
                self._cancel(triggerer, wait)

    def _is_needed(self, wait: int) -> bool:
        # In SQL a comparison with None is never true: such a row stays until the task is scheduled.
        return self.task.exists and self.task.wait == wait and self.task.state in ("deferred", None)

    def _is_alive(self, triggerer: Triggerer) -> bool:
        return self.now - triggerer.heartbeat <= HEALTH_THRESHOLD_SECONDS

    def _start(self, row: Row, triggerer: Triggerer) -> SoraVideoTrigger:
        trigger = SoraVideoTrigger(
            sora_conn_id="sora_default",
            video_id=row.job,
            deadline=9e9,
            poll_interval=10,
            cancel_on_kill=True,
            keep_on_clear=self.reuse,
        )
        trigger._stalls = triggerer.stalls
        return trigger

    def _cancel(self, triggerer: Triggerer, wait: int) -> None:
        trigger = triggerer.running.pop(wait)
        sure = self._is_sure(triggerer, trigger)
        self.killing = triggerer
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            loop = runner.get_loop()
            began = loop.time()
            runner.run(_kill(trigger))
            assert loop.time() - began <= KILL_SECONDS, "cancelling takes longer than Airflow waits"
        self.killing = None
        assert not sure or self.jobs[trigger.video_id] == "deleted", (
            "a user has certainly acted, and the job is still running"
        )

    def _is_sure(self, triggerer: Triggerer, trigger: SoraVideoTrigger) -> bool:
        state = self.task.state if self.task.exists else DELETED
        return (
            trigger.video_id in self.abandoned
            and self.jobs[trigger.video_id] == "in_progress"
            and state in _USERS
            and not (self.reuse and state in _CLEARED)
            and self.response in ("in time", "late")
            and self.server_works
            and self.now - triggerer.resumed_at > REMEMBER_SECONDS + 1
            and getattr(trigger, "timeout_after", None) is None
        )

    def poll(self, triggerer: Triggerer) -> None:
        """A triggerer polls, and finds its jobs that are completed."""
        for wait in [wait for wait, row in triggerer.running.items() if self.jobs[row.video_id] == "completed"]:
            del triggerer.running[wait]
            self.submit_event(wait, "with the video")

    def give_up(self, triggerer: Triggerer) -> None:
        """Too many status checks of a triggerer failed: the job is left running for the next try."""
        for wait in list(triggerer.running):
            del triggerer.running[wait]
            self.submit_event(wait, "with an error")

    # Users

    def mark(self, state: str) -> None:
        """Mark the task as failed or as successful."""
        if self.task.exists:
            self.task.state, self.task.resume = state, None
            self._abandon()

    def clear(self) -> None:
        """Clear the task: it submits a new job, unless it reuses the one that it has."""
        if not self.task.exists:
            return
        self.task.state, self.task.resume, self.task.retries = None, None, 1
        if self.reuse and self.task.job is not None and self.jobs[self.task.job] != "deleted":
            self.abandoned.discard(self.task.job)
        else:
            self._abandon()
            self.task.job = None

    def delete_run(self) -> None:
        """Delete the run, and the task with it."""
        self.task.exists = False
        self._abandon()

    def _abandon(self) -> None:
        if self.task.job is not None:
            self.abandoned.add(self.task.job)

    # What the trigger requests

    async def task_state(self, ti: Any) -> str | None:
        """The state, in the way that `response` says."""
        state = self.task.state if self.task.exists else DELETED
        await self._respond_to_state()
        return state

    async def task_job(self, ti: Any, step: int) -> str | None:
        """The same for the job of the task."""
        published = self.task.published if self.task.exists else None
        await self._respond_to_state()
        return published

    async def _respond_to_state(self) -> None:
        if self.response == "error":
            raise RuntimeError("the API server is down")
        if self.response == "none":
            await asyncio.Event().wait()
        if self.response == "late":
            await asyncio.sleep(8)
            self.pass_time(8)
        if self.response == "stall":
            self._stall()

    def _stall(self) -> None:
        """The triggerer stalls before the response arrives, and users and others continue."""
        assert self.killing is not None
        self.killing.paused = True
        if self.task.has_ended:
            self.clear()
        for _ in range(6):
            self.schedule()
        self.pass_time(40)
        self.killing.paused = False
        self.killing.resumed_at = self.now

    # The server

    async def __aenter__(self) -> World:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def run(self, flow: Flow[ResultT]) -> ResultT:
        """Run a flow as a client does, with this world as the server."""
        outcome: Response | None = None
        while True:
            try:
                step = advance(flow, outcome)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            assert isinstance(step, Send)
            status_code, payload = self._respond(step.request)
            outcome = Response(0.0, status_code, body=json.dumps(payload).encode(), url="http://server/v1/videos")

    def _respond(self, request: Any) -> tuple[int, dict[str, Any]]:
        if not self.server_works:
            return 500, {"error": "out of order"}
        status = self.jobs[request.video_id]
        if status == "deleted":
            return 404, {"error": "no such video"}
        if isinstance(request, RetrieveVideo):
            return 200, {"id": request.video_id, "status": status}
        assert isinstance(request, DeleteVideo)
        assert request.video_id in self.abandoned, "a job that a task waits for was deleted"
        assert status != "completed", "a completed video was deleted"
        self.jobs[request.video_id] = "deleted"
        return 200, {"id": request.video_id, "deleted": True}


async def _kill(trigger: SoraVideoTrigger) -> None:
    """Call `on_kill` as Airflow 3.3.2 does: the trigger is cancelled again each second, until it has ended."""
    killing = asyncio.create_task(trigger.on_kill())
    done, _ = await asyncio.wait([killing], timeout=1)
    if not done:
        killing.cancel()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)
    if done:
        killing.result()
