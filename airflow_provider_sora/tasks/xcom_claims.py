"""What the tasks of a DAG publish about their jobs for each other, through XCom.

Airflow deletes the XCom of a task when its next try begins; the record of a submission is in the task state store.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from airflow_provider_sora.compat import Context
from airflow_provider_sora.submission.claims import Claim, OwnedJob

ModelT = TypeVar("ModelT", bound=BaseModel)

# The jobs of a task: {"index": map_index, "jobs": [of each step]}.
JOBS_KEY = "sora_jobs"


class XComClaims:
    """The claims of the running task and of the other tasks of its DAG.

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

    def jobs_of_others(self) -> Sequence[OwnedJob]:
        """The jobs that other tasks of the DAG have, and this one's of other steps.

        Of earlier runs only the last: a history of years is not to be read for one lost answer.
        """
        found: list[OwnedJob] = []
        for task_id in self._task_ids():
            for value in (*self._pull(task_id, JOBS_KEY), self._pull_last(task_id, JOBS_KEY)):
                found += jobs_of(value)
        of_this_step = {job.video_id for job in self._own()[self._step :]}
        return [job for job in found if job.video_id not in of_this_step]

    def siblings(self, prompt: str) -> Sequence[Claim]:
        """What the other mapped instances of the task have published about this prompt."""
        if self._map_index < 0:
            return ()
        claims = _read(Claim, self._pull(self._ti.task_id, self._key(prompt)))
        return [claim for claim in claims if claim.index != self.index]

    def publish(self, prompt: str, claim: Claim) -> None:
        """Tell the other mapped instances of the task."""
        if self._map_index >= 0:
            self._ti.xcom_push(key=self._key(prompt), value=claim.model_dump(mode="json"))

    def publish_job(self, job: OwnedJob) -> None:
        """Tell all tasks of the DAG that a job is this task's."""
        jobs = [*(self._own() if self._step else [])[: self._step], job]
        value = {"index": self._map_index, "jobs": [job.model_dump(mode="json") for job in jobs]}
        self._ti.xcom_push(key=JOBS_KEY, value=value)

    def _own(self) -> list[OwnedJob]:
        for value in _dicts(self._pull(self._ti.task_id, JOBS_KEY)):
            if value.get("index") == self._map_index:
                return jobs_of(value)
        return []

    def _key(self, prompt: str) -> str:
        return f"sora_claim_{self._step}_{prompt[:16]}"

    def _task_ids(self) -> list[str]:
        """The tasks of the DAG that submit jobs; only this one if the context has no DAG."""
        tasks = getattr(self._dag, "tasks", ())
        return sorted({self._ti.task_id, *(task.task_id for task in tasks if _makes_videos(task))})

    def _pull(self, task_id: str, key: str) -> Iterator[Any]:
        """The values of all mapped instances: for a list of task ids Airflow returns a list."""
        return iter(self._ti.xcom_pull(task_ids=[task_id], key=key) or ())

    def _pull_last(self, task_id: str, key: str) -> Any:
        """The newest value of the same mapped instance, in this run or an earlier one."""
        options = {"map_indexes": self._map_index, "include_prior_dates": True}
        return self._ti.xcom_pull(task_ids=task_id, key=key, **options)


def jobs_of(value: object) -> list[OwnedJob]:
    """The jobs of a task, of each of its steps, from what it has published under `JOBS_KEY`."""
    return _read(OwnedJob, value.get("jobs")) if isinstance(value, dict) else []


def _makes_videos(task: Any) -> bool:
    kind = getattr(task, "operator_class", type(task))
    return isinstance(kind, type) and hasattr(kind, "makes_videos")


def _dicts(values: object) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, Iterable) else []


def _read(kind: type[ModelT], values: object) -> list[ModelT]:
    found = []
    for value in _dicts(values):
        try:
            found.append(kind.model_validate(value))
        except ValidationError:  # perhaps of a newer version of the package: its jobs stay unknown
            continue
    return found
