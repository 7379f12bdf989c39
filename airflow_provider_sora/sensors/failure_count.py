"""How many status checks of a sensor failed in a row, from one poke to the next.

A sensor that pokes in one process keeps the count in memory. One that is rescheduled is another process for each poke:
it keeps the count in Airflow's task state store (Airflow 3.3 and later). Without a store each poke begins to count
anew, so that no failure that may pass ends the wait; only a job that the server does not know is given up, once the
sensor has waited for a minute, if the server's list does not show it either.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from airflow_provider_sora.api.decisions.poll_failures import FailureKind
from airflow_provider_sora.api.decisions.polling import MAX_NOT_FOUND
from airflow_provider_sora.compat import Context

STORE_KEY = "sora_sensor_failures"
# A gateway may answer for a new job before its own database shows it.
_NEW_JOB = timedelta(minutes=1)


class FailureCount(BaseModel):
    """Failures of one kind in a row.

    :param version: of this model; one of another version is not read, and the count begins anew
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    failures: int = 0
    kind: FailureKind | None = None


def load(context: Context, *, is_rescheduled: bool, in_memory: FailureCount) -> FailureCount:
    """The failures of the pokes before this one."""
    if not is_rescheduled:
        return in_memory
    store: Any = context.get("task_state_store")
    if store is None:
        return _without_store(context)
    try:
        return FailureCount.model_validate(store.get(STORE_KEY) or {})
    except ValidationError:  # a count is no loss
        return FailureCount()


def save(context: Context, before: FailureCount, now: FailureCount, *, is_rescheduled: bool) -> None:
    """Keep the failures for the next poke."""
    store: Any = context.get("task_state_store")
    if is_rescheduled and store is not None and now != before:
        store.set(STORE_KEY, now.model_dump(mode="json"))


def _without_store(context: Context) -> FailureCount:
    ti: Any = context.get("ti")
    ask = getattr(ti, "get_first_reschedule_date", None)
    begun = ask(context) if ask else None
    if not isinstance(begun, datetime) or datetime.now(UTC) - begun < _NEW_JOB:
        return FailureCount()
    return FailureCount(failures=MAX_NOT_FOUND - 1, kind=FailureKind.NOT_FOUND)
