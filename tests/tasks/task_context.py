"""The context of a running task, as far as this package uses it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any


class Store(dict[str, Any]):
    """Airflow's task state store."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value

    def delete(self, key: str) -> None:
        self.pop(key, None)


@dataclass
class Ti:
    """A task instance.

    :param xcom: what all tasks of the run have pushed: by task, mapped instance and key
    :param before: what tasks pushed in the run before
    """

    try_number: int = 1
    max_tries: int = 2
    task_id: str = "create"
    xcom: dict[tuple[str, int, str], Any] = field(default_factory=dict)
    map_index: int = -1
    before: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcom[self.task_id, self.map_index, key] = value

    def xcom_pull(self, task_ids: list[str] | str, key: str, **options: Any) -> Any:
        if isinstance(task_ids, str):
            assert options == {"map_indexes": self.map_index, "include_prior_dates": True}
            return self.before.get(task_ids)
        found = [value for (task_id, _, named), value in self.xcom.items() if (task_id in task_ids) and named == key]
        return found or [None]  # as Airflow 3 does if there is nothing

    def get_first_reschedule_date(self, context: Any) -> datetime:
        return datetime.now(UTC)


@dataclass
class Run:
    """A run of a DAG that began an hour ago."""

    logical_date: datetime | None = None
    start_date: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(hours=1))


def context(ti: Ti, store: Store | None = None) -> Any:
    """The context; Airflow before 3.3 has no store."""
    found: dict[str, Any] = {"ti": ti, "dag_run": Run()}
    return found if store is None else {**found, "task_state_store": store}
