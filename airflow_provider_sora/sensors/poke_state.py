"""What a sensor remembers from one poke to the next.

In reschedule mode each poke is a new process, which only Airflow's task state store outlives (Airflow 3.3 and later).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from airflow_provider_sora.api.decisions.poll_failures import FailureKind
from airflow_provider_sora.api.decisions.polling import PollAgain, Wait
from airflow_provider_sora.api.protocol.pause_limits import MAX_POLL_SECONDS

KEY = "sora_sensor"


class PokeState(BaseModel):
    """How far a wait has come; `tests/golden` has an example.

    :param try_number: the try of the task; the next try starts counting again
    :param failures: see `Wait`, as for the other fields of the same name
    :param next_poll_at: unix seconds before which the server is not asked again; 0 if the next poke may ask it
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: Literal[1] = 1
    try_number: int
    video_id: str
    failures: int = 0
    failure_kind: FailureKind | None = None
    last_status: str = "never"
    next_poll_at: float = 0.0

    def wait(self, poll_interval_seconds: float) -> Wait:
        """The wait to go on with. It has no deadline: Airflow enforces the sensor's own timeout."""
        return Wait(
            self.video_id,
            float("inf"),
            poll_interval_seconds,
            failures=self.failures,
            failure_kind=self.failure_kind,
            last_status=self.last_status,
        )

    def after(self, decision: PollAgain, now: float) -> PokeState:
        """The state after a status check.

        A pause that is longer than the interval of the pokes (after failures, or as the server asks) is kept, too.
        """
        wait = decision.wait
        is_longer = decision.seconds > wait.poll_interval_seconds
        return self.model_copy(
            update={
                "failures": wait.failures,
                "failure_kind": wait.failure_kind,
                "last_status": wait.last_status,
                "next_poll_at": now + decision.seconds if is_longer else 0.0,
            }
        )

    def pause(self, now: float) -> float:
        """How many seconds are left until the server may be asked; never more than the longest pause of a wait."""
        left = self.next_poll_at - now
        return left if 0 < left <= MAX_POLL_SECONDS else 0.0


class StateStore(Protocol):
    """Airflow's task state store, as far as it is used."""

    def get(self, key: str) -> Any:
        """The value, or None."""

    def set(self, key: str, value: dict[str, Any]) -> None:
        """Store a value."""


class InMemoryStore:
    """A store for pokes that share a process."""

    def __init__(self) -> None:
        self._values: dict[str, dict[str, Any]] = {}

    def get(self, key: str) -> Any:
        """The value, or None."""
        return self._values.get(key)

    def set(self, key: str, value: dict[str, Any]) -> None:
        """Store a value."""
        self._values[key] = value


def load(store: StateStore | None, video_id: str, try_number: int, log: Callable[..., None]) -> PokeState:
    """The state that the poke before left; a new one where there is none, or none of this video and this try."""
    new = PokeState(video_id=video_id, try_number=try_number)
    value = None if store is None else store.get(KEY)
    if value is None:
        return new
    try:
        found = PokeState.model_validate(value)
    except ValidationError:
        # Nothing is at stake but the number of failed checks.
        log("The sensor's state of an earlier poke cannot be read; its failed status checks are not counted")
        return new
    return found if (found.video_id, found.try_number) == (video_id, try_number) else new


def save(store: StateStore | None, state: PokeState, before: PokeState) -> None:
    """Keep the state for the next poke, if it has changed."""
    if store is not None and state != before:
        store.set(KEY, state.model_dump(mode="json"))
