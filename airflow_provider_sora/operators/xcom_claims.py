"""What the tasks of a DAG tell each other of their jobs, through XCom.

Airflow deletes a task's XCom when its next try begins; the records of a submission are in the task state store.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from airflow_provider_sora.compat import Context
from airflow_provider_sora.submission.claims import Claim

# The jobs of a task: {"index": map_index, "ids": [of each step]}.
JOBS_KEY = "sora_jobs"


class XComClaims:
    """The claims of the running task, and of the others of its DAG.

    :param step: the step that submits
    """

    def __init__(self, context: Context, step: int) -> None:
        self._ti: Any = context["ti"]
        self._dag: Any = context.get("dag")
        self._step = step
        self.index: int = max(self._map_index, 0)

    @property
    def _map_index(self) -> int:
        index = getattr(self._ti, "map_index", None)
        return index if isinstance(index, int) else -1

    def taken(self) -> set[str]:
        """The ids of all jobs that other tasks of the DAG have, in this run and earlier ones, and this one's others."""
        taken: set[str] = set()
        for task_id in self._task_ids():
            for jobs in _dicts(self._pull(task_id, JOBS_KEY, include_prior_dates=True)):
                taken |= {video_id for video_id in jobs.get("ids", ()) if isinstance(video_id, str)}
        return taken - set(self._own()[self._step :])

    def siblings(self, prompt: str) -> Sequence[Claim]:
        """What the other mapped instances of the task have published about this prompt."""
        if self._map_index < 0:
            return ()
        claims = _claims(self._pull(self._ti.task_id, self._key(prompt)))
        return [claim for claim in claims if claim.index != self.index]

    def publish(self, prompt: str, claim: Claim) -> None:
        """Tell the other mapped instances of the task."""
        if self._map_index >= 0:
            self._ti.xcom_push(key=self._key(prompt), value=claim.model_dump(mode="json"))

    def have(self, video_id: str) -> None:
        """Tell all tasks of the DAG that a job is this task's."""
        ids = [*(self._own() if self._step else [])[: self._step], video_id]
        self._ti.xcom_push(key=JOBS_KEY, value={"index": self._map_index, "ids": ids})

    def _own(self) -> list[str]:
        for jobs in _dicts(self._pull(self._ti.task_id, JOBS_KEY)):
            if jobs.get("index") == self._map_index:
                return list(jobs.get("ids", ()))
        return []

    def _key(self, prompt: str) -> str:
        return f"sora_claim_{self._step}_{prompt[:16]}"

    def _task_ids(self) -> list[str]:
        """The tasks of the DAG that make videos; only this one where the DAG is not known."""
        tasks = getattr(self._dag, "tasks", ())
        return sorted({self._ti.task_id, *(task.task_id for task in tasks if _makes_videos(task))})

    def _pull(self, task_id: str, key: str, *, include_prior_dates: bool = False) -> Iterator[Any]:
        """All values, of each mapped instance: a list of tasks makes Airflow answer a list, whatever the tasks are."""
        found = self._ti.xcom_pull(task_ids=[task_id], key=key, include_prior_dates=include_prior_dates)
        return iter(found or ())


def _makes_videos(task: Any) -> bool:
    kind = getattr(task, "operator_class", type(task))
    return isinstance(kind, type) and hasattr(kind, "makes_videos")


def _dicts(values: Iterable[Any]) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)]


def _claims(values: Iterable[Any]) -> list[Claim]:
    found = []
    for value in _dicts(values):
        try:
            found.append(Claim.model_validate(value))
        except ValidationError:  # of a newer version of the package, perhaps: there is no more to be known
            continue
    return found
