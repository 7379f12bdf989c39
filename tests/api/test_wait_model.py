"""The protocol of waiting, searched: a server that answers anything, clocks that jump, waits that come and go.

What has to hold, whatever happens: a wait ends by its deadline; it ends with "gone" only where the server itself has
said so; never with another job's result; and between two polls of a job there is at least a second and at most an hour.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.api.virtual_time import VirtualTimeLoop
from tests.api.wait_world import EFFECTS, HINTS, LIST_EFFECTS, Job, WaitWorld

EXAMPLES = int(os.environ.get("SORA_MODEL_EXAMPLES", "20"))

spans = st.sampled_from([1.0, 60.0, 300.0, 900.0, 4500.0])
shares = st.sampled_from([1.0, 1.0, 0.5])
lengths = st.sampled_from([2000.0, 7500.0, 17.0])
timeouts = st.sampled_from([9000.0, 9000.0, 4000.0, 90.0, 3.0])
intervals = st.sampled_from([60.0, 60.0, 300.0, 9000.0])
outcomes = st.sampled_from(["completed", "completed", "failed"])
FAMILIES = {
    "not found": ["ingress_404", "empty_404", "no_route_404", "kong_404", "page_404", "own_404", "own_404"],
    "another": [name for name in EFFECTS if name.startswith("other")],
    "busy": [name for name in EFFECTS if name.startswith("busy")],
    "any": list(EFFECTS),
}
effects = st.one_of(*(st.sampled_from(names) for names in FAMILIES.values()))


class Waiter(RuleBasedStateMachine):
    """Some hours in the life of a triggerer."""

    world: WaitWorld

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=VirtualTimeLoop)
        self.numbers = 0

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        self.runner.run(work)

    @initialize(
        seed=st.integers(0, 2**16),
        has_list=st.booleans(),
        wraps=st.booleans(),
        listed=st.booleans(),
        interval=intervals,
        outcome=outcomes,
    )
    def begin(self, seed: int, has_list: bool, wraps: bool, listed: bool, interval: float, outcome: str) -> None:
        async def make() -> None:
            self.world = WaitWorld(seed)
            self.world.server.has_list, self.world.server.wraps_ids = has_list, wraps

        self._do(make())
        for by_client, waits in ((True, 1), (False, 3), (False, 1)):
            self._submit(9000.0, outcome, listed, 15_000.0, interval, waits, by_client=by_client, fresh=True)

    @rule(
        seconds=lengths,
        outcome=outcomes,
        listed=st.booleans(),
        timeout=timeouts,
        interval=intervals,
        waits=st.sampled_from([1, 1, 2, 3]),
        by_client=st.booleans(),
        fresh=st.booleans(),
    )
    def submit(
        self,
        seconds: float,
        outcome: str,
        listed: bool,
        timeout: float,
        interval: float,
        waits: int,
        by_client: bool,
        fresh: bool,
    ) -> None:
        self._submit(seconds, outcome, listed, timeout, interval, waits, by_client=by_client, fresh=fresh)

    def _submit(
        self,
        seconds: float,
        outcome: str,
        listed: bool,
        timeout: float,
        interval: float,
        waits: int,
        *,
        by_client: bool,
        fresh: bool,
    ) -> None:
        made = Job(f"video_{self.numbers}", self.world.clock() + seconds, outcome, listed)
        self.numbers += 1
        self.world.server.jobs[made.id] = made

        async def start() -> None:
            for _ in range(1 if by_client else waits):
                await self.world.start(made, seconds=timeout, interval=interval, by_client=by_client, fresh=fresh)

        self._do(start())

    @rule(seconds=spans)
    def pass_time(self, seconds: float) -> None:
        self._do(asyncio.sleep(seconds))

    @rule(effect=effects, seconds=spans, share=shares)
    def answer_for_jobs(self, effect: str, seconds: float, share: float) -> None:
        self._answer("job", effect, seconds, share)

    @rule(effect=effects, seconds=spans, share=shares)
    def answer_for_a_job_and_then_for_the_list(self, effect: str, seconds: float, share: float) -> None:
        self.world.server.spells.append((self.world.clock() + seconds, "job", "own_404", 1.0))
        if effect in LIST_EFFECTS:
            self._answer("list", effect, seconds, share)

    def _answer(self, where: str, effect: str, seconds: float, share: float) -> None:
        self.world.server.spells.append((self.world.clock() + seconds, where, effect, share))
        self._do(asyncio.sleep(seconds))

    @rule(seconds=st.sampled_from([-90_000.0, -7200.0, -60.0, 60.0, 7200.0, 90_000.0]))
    def set_the_wall_clock(self, seconds: float) -> None:
        self.world.skew += seconds
        self._do(asyncio.sleep(4000))

    @rule(keeps=st.sampled_from([True, True, False]), seconds=spans)
    def restart(self, keeps: bool, seconds: float) -> None:
        self.world.server.spells = []
        self.world.server.delay = 0.05
        for made in self.world.server.jobs.values():
            made.known = made.known and keeps
        self._do(asyncio.sleep(seconds))

    @rule(hint=st.none() | st.sampled_from(HINTS))
    def hint_at_the_next_poll(self, hint: str | None) -> None:
        self.world.server.hint = hint
        self._do(asyncio.sleep(4000))

    @rule(delay=st.sampled_from([0.01, 2.0, 25.0, 500.0]))
    def be_slow(self, delay: float) -> None:
        self.world.server.delay = delay
        self._do(asyncio.sleep(300))

    @rule(behind=st.booleans())
    def show_an_old_list(self, behind: bool) -> None:
        for made in self.world.server.jobs.values():
            made.list_is_behind = behind

    @rule()
    def all_leave_in_the_middle_and_come_back(self) -> None:
        async def leave() -> None:
            for waited in self.world.waits:
                waited.task.cancel()
            await asyncio.sleep(0.01)
            for made in {waited.job.id: waited.job for waited in self.world.waits}.values():
                await self.world.start(made, seconds=600, interval=30, by_client=False, fresh=False)
            await asyncio.sleep(60)

        self._do(leave())

    @invariant()
    def all_is_right(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self) -> None:
        try:
            if hasattr(self, "world"):
                for _ in range(3):  # until each wait has to be over
                    self._do(asyncio.sleep(6000))
                    self.world.check()
                assert all(waited.task.done() for waited in self.world.waits)
                self._do(self.world.close())
        finally:
            self.runner.close()


TestWaiting = Waiter.TestCase
TestWaiting.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=6,
    deadline=None,
    derandomize="SORA_MODEL_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate] if "SORA_MODEL_FAST" in os.environ else list(Phase),
)
