"""The XCom of a DAG run, as the mapped tasks of it see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from airflow_provider_sora.submission.claims import Claim, OwnedJob
from tests.submission.world import PROMPT_DIGEST, REQUEST, World


@dataclass
class XCom:
    """What mapped tasks publish to each other: each has its own values, which its next try deletes."""

    world: World
    claims: dict[int, dict[str, Claim]] = field(default_factory=dict)
    jobs: dict[int, str] = field(default_factory=dict)

    def of(self, index: int) -> XComView:
        return XComView(self, index)

    def begin_try(self, index: int) -> None:
        self.claims.pop(index, None)
        self.jobs.pop(index, None)


@dataclass
class XComView:
    """The claims that one of the mapped tasks reads and publishes."""

    xcom: XCom
    index: int

    def jobs_of_others(self) -> list[OwnedJob]:
        self.xcom.world.on_step("claims")
        others = [video_id for index, video_id in self.xcom.jobs.items() if index != self.index]
        return [OwnedJob(video_id=video_id, prompt=PROMPT_DIGEST, model=REQUEST.model) for video_id in others]

    def siblings(self, prompt: str) -> Sequence[Claim]:
        self.xcom.world.on_step("claims")
        return [own[prompt] for index, own in self.xcom.claims.items() if index != self.index and prompt in own]

    def publish(self, prompt: str, claim: Claim) -> None:
        self.xcom.world.on_step("claims")
        self.xcom.claims.setdefault(self.index, {})[prompt] = claim
