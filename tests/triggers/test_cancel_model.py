"""A search for a job that is deleted although a task waits for it: users, triggerers and Airflow in any order.

The trigger's `on_kill` and all that it depends on are the real ones; `airflow_world` simulates the rest. The planted
defects show that the search finds such orders: the first defect was observed with two triggerers.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from airflow_provider_sora.hooks import cancellation
from airflow_provider_sora.hooks.sora import SoraHook
from airflow_provider_sora.triggers import sora
from airflow_provider_sora.triggers.sora import SoraVideoTrigger
from airflow_provider_sora.triggers.stalls import StallDetector
from tests.triggers.airflow_world import Triggerer, World

WHICH = st.integers(0, 2)
RESPONSES = st.sampled_from(["in time", "late", "error", "none", "stall"])


class Cancelling(RuleBasedStateMachine):
    """One task, at most three triggerers, and all that may happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.world = World()

    @initialize(triggerers=st.integers(1, 3), reuse=st.booleans(), response=RESPONSES)
    def start(self, triggerers: int, reuse: bool, response: Any) -> None:
        world = self.world
        world.response = response
        world.reuse = reuse
        world.triggerers = [Triggerer(world) for _ in range(triggerers)]
        for _ in range(4):
            world.schedule()
        world.pass_time(1)

        async def client(*_: Any) -> World:
            return world

        self.patch.setattr(sora, "task_state", world.task_state)
        self.patch.setattr(sora, "task_job", world.task_job)
        self.patch.setattr(SoraHook, "short_lived_async_conn", client)

    @rule(seconds=st.sampled_from([1, 5, 14, 40, 90]))
    def pass_time(self, seconds: int) -> None:
        self.world.pass_time(seconds)

    @rule()
    def schedule(self) -> None:
        self.world.schedule()

    @rule()
    def the_task_comes_to_its_end_or_waits(self) -> None:
        for _ in range(8):
            self.world.schedule()

    @precondition(lambda self: self.world.task.job is not None)
    @rule()
    def complete_job(self) -> None:
        job = self.world.task.job
        if job is not None and self.world.jobs[job] == "in_progress":
            self.world.jobs[job] = "completed"

    @rule(which=WHICH)
    def poll(self, which: int) -> None:
        if triggerer := self.working(which):
            self.world.poll(triggerer)

    @rule(which=WHICH)
    def give_up(self, which: int) -> None:
        if triggerer := self.working(which):
            self.world.give_up(triggerer)

    @rule(which=WHICH)
    def pause(self, which: int) -> None:
        if triggerer := self.working(which):
            triggerer.paused = True

    @rule(which=WHICH)
    def resume(self, which: int) -> None:
        triggerer = self.world.triggerers[which % len(self.world.triggerers)]
        if triggerer.paused:
            triggerer.paused, triggerer.resumed_at = False, self.world.now

    @rule(which=WHICH, seconds=st.sampled_from([20, 40, 90]))
    def stall(self, which: int, seconds: int) -> None:
        if triggerer := self.working(which):
            triggerer.paused = True
            self.world.pass_time(seconds)

    @rule(which=WHICH, ending=st.sampled_from(["poll", "give_up", "pause"]), steps=st.integers(0, 8))
    def another_takes_over(self, which: int, ending: str, steps: int) -> None:
        """One stalls, another takes over its wait and perhaps ends it, the task continues, and the first resumes."""
        if not (first := self.working(which)):
            return
        first.paused = True
        self.world.pass_time(40)
        for other in range(len(self.world.triggerers)):
            getattr(self, ending)(other)
        for _ in range(steps):
            self.world.schedule()
        first.paused, first.resumed_at = False, self.world.now
        self.world.pass_time(1)

    @rule(which=WHICH)
    def kill(self, which: int) -> None:
        """SIGKILL one, and start another one."""
        if triggerer := self.working(which):
            triggerer.alive = False
            triggerer.running.clear()
            self.world.triggerers.append(Triggerer(self.world))

    @rule(state=st.sampled_from(["success", "failed"]))
    def mark(self, state: str) -> None:
        self.world.mark(state)

    @rule()
    def clear(self) -> None:
        self.world.clear()

    @rule()
    def delete_run(self) -> None:
        self.world.delete_run()

    @rule()
    def time_out(self) -> None:
        self.world.time_out()
        self.world.pass_time(1)

    @precondition(lambda self: not self.world.task.has_ended)
    @rule()
    def the_run_times_out(self) -> None:
        self.world.task.state, self.world.task.resume = "skipped", None

    @rule(response=RESPONSES)
    def airflow_responds(self, response: Any) -> None:
        self.world.response = response

    @rule()
    def the_next_try_dies_before_its_post(self) -> None:
        self.world.dies_early = True

    @rule(works=st.booleans())
    def server_responds(self, works: bool) -> None:
        self.world.server_works = works

    def working(self, which: int) -> Triggerer | None:
        triggerer = self.world.triggerers[which % len(self.world.triggerers)]
        return triggerer if triggerer.works else None

    def teardown(self) -> None:
        """Whatever has happened: if nothing goes wrong from here on, the wait ends."""
        try:
            self.end()
        finally:
            self.patch.undo()

    def end(self) -> None:
        world = self.world
        world.response, world.server_works = "in time", True
        for triggerer in world.triggerers:
            if triggerer.paused:
                triggerer.paused, triggerer.resumed_at = False, world.now
        for _ in range(60):
            world.pass_time(2)
            self.complete_job()
            for triggerer in world.triggerers:
                world.poll(triggerer)
            world.schedule()
        assert not world.triggerers or world.task.has_ended, "a wait does not end"


SEARCH = settings(
    max_examples=400, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


def test_no_job_is_deleted_that_a_task_waits_for() -> None:
    run_state_machine_as_test(Cancelling, settings=SEARCH)


async def without_asking(trigger: SoraVideoTrigger) -> None:
    await SoraHook(trigger.sora_conn_id).cancel_video.aio(trigger.video_id)


async def no_reason(trigger: SoraVideoTrigger) -> str | None:
    return None


def whenever_not_deferred(state: str | None, *, keep_on_clear: bool) -> str | None:
    return "deferred" if state == "deferred" else None


def never(*_: Any) -> bool:
    return False


def nothing_stays(*_: Any) -> None:
    return None


async def always_a_reason(trigger: SoraVideoTrigger) -> str | None:
    return "better safe than sorry"


def no_shield(task: Any) -> Any:
    return task


def always_another(_: str) -> object:
    return object()


AWAITED = "a job that a task waits for was deleted"
PLANTS: dict[str, tuple[Any, str, Any, str]] = {
    "delete without asking": (SoraVideoTrigger, "on_kill", without_asking, AWAITED),
    "ignore every reason": (SoraVideoTrigger, "_reason_to_keep", no_reason, AWAITED),
    "delete whatever is not deferred": (sora, "reason_to_keep", whenever_not_deferred, AWAITED),
    "ignore stalls": (StallDetector, "has_stalled", never, AWAITED),
    "ignore the timeout of Airflow": (sora, "is_timed_out", never, AWAITED),
    "delete completed videos": (cancellation, "reason_to_keep", nothing_stays, "a completed video was deleted"),
    "end when cancelled again": (asyncio, "shield", no_shield, "a user has certainly acted"),
    "never delete": (SoraVideoTrigger, "_reason_to_keep", always_a_reason, "a user has certainly acted"),
    "ignore the job of the task": (sora, "canonical_id", always_another, AWAITED),
}


@pytest.mark.parametrize("plant", PLANTS)
def test_the_search_finds_a_planted_defect(plant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, name, defect, found = PLANTS[plant]
    monkeypatch.setattr(owner, name, defect)
    search = settings(SEARCH, max_examples=4000, derandomize=True, phases=[Phase.generate])
    with pytest.raises(AssertionError, match=f"^{found}"):
        run_state_machine_as_test(Cancelling, settings=search)
