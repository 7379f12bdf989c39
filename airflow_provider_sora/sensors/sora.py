"""The sensor that waits for a video which something else started."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NoReturn

from airflow_provider_sora.api.decisions.poll_failures import FailureKind
from airflow_provider_sora.api.decisions.polling import Decision, Done, GiveUp, PollAgain, Wait
from airflow_provider_sora.compat import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    Context,
    PokeReturnValue,
)
from airflow_provider_sora.events import VideoEvent
from airflow_provider_sora.exceptions import SoraConfigError, SoraError, SoraWaitTimeoutError
from airflow_provider_sora.hooks.sora import DEFAULT_CONN_ID, SoraHook
from airflow_provider_sora.manifest import VideoManifest
from airflow_provider_sora.masking import quoted
from airflow_provider_sora.sensors import poke_state
from airflow_provider_sora.sensors.poke_state import InMemoryStore, StateStore
from airflow_provider_sora.sources import check_ids, video_id_of
from airflow_provider_sora.tasks.arguments import constant, or_default_deferrable
from airflow_provider_sora.tasks.failures import fail_without_retry
from airflow_provider_sora.tasks.progress import progress_line
from airflow_provider_sora.tasks.retry import use_retry_policy
from airflow_provider_sora.triggers.sora import SoraVideoTrigger

FIRST_POLL_SECONDS = 5.0  # before the task defers
POKE_SECONDS = 30.0  # as much as the trigger allows for one status check
# A sensor that remembers nothing repeats the check within one poke before it believes that a job is gone.
_PAUSES_AFTER_NOT_FOUND = (2.0, 5.0)


class SoraVideoSensor(BaseSensorOperator):
    """Waits until a video is completed, and returns its manifest; takes Airflow's usual sensor arguments.

    A status check that fails does not fail the sensor, in any mode: see docs/errors.md.

    :param video: the video's id, or the manifest of a task that did not wait
    :param sora_conn_id: the connection of the server; default: the manifest's own, or ``sora_default`` for an id
    :param deferrable: wait in the triggerer; default: ``[operators] default_deferrable``
    :returns: the manifest
    :raises SoraVideoFailedError: the server could not make the video; with `soft_fail` the task is skipped instead
    :raises SoraWaitError: too many status checks failed; with `soft_fail` the task is skipped instead
    """

    template_fields: Sequence[str] = ("video", "sora_conn_id")
    ui_color = "#f2ecd9"
    _own_store: InMemoryStore | None = None

    def __init__(
        self,
        *,
        video: Any,
        sora_conn_id: str | None = None,
        deferrable: bool | None = None,
        poke_interval: float | timedelta = 10.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, **kwargs)
        use_retry_policy(self)
        self.video = video
        self.sora_conn_id = sora_conn_id
        self.deferrable = or_default_deferrable(deferrable)
        check_ids(constant(video))

    def execute(self, context: Context) -> Any:
        """Wait for the job: with pokes, or with one status check here and the rest in the triggerer."""
        if not self.deferrable:
            return super().execute(context)
        with self._skip_if_asked():
            video_id, conn_id = self._job()
            wait = Wait(video_id, time.time() + self.timeout, self.poke_interval)
            decision = self._check_once(wait, conn_id, FIRST_POLL_SECONDS)
            if isinstance(decision, PollAgain):
                self._defer(decision.wait, conn_id)
            return self._manifest(decision, conn_id)

    def _defer(self, wait: Wait, conn_id: str) -> NoReturn:
        self.defer(
            trigger=SoraVideoTrigger(
                sora_conn_id=conn_id,
                video_id=wait.video_id,
                deadline=wait.deadline,
                poll_interval=wait.poll_interval_seconds,
                submitted_at=wait.submitted_at,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout, minutes=5),
        )

    def execute_complete(self, context: Context, event: Any = None) -> dict[str, Any]:  # noqa: ARG002
        """Turn the event of a wait into the manifest, or into the error that it stands for."""
        with self._skip_if_asked():
            return VideoEvent.parse(event).manifest().to_json()

    def poke(self, context: Context) -> PokeReturnValue:
        """Check the status of the job, unless the server is not to be asked yet."""
        with self._skip_if_asked():
            video_id, conn_id = self._job()
            store = self._store(context)
            before = poke_state.load(store, video_id, _try_number(context), self.log.warning)
            pause = before.pause(time.time())
            if pause:
                self.log.info("Video %s: the next status check is due in %.0f s", video_id, pause)
                return PokeReturnValue(is_done=False)
            decision = self._check(before.wait(self.poke_interval), conn_id, remembers=store is not None)
            if isinstance(decision, PollAgain):
                poke_state.save(store, before.after(decision, time.time()), before)
                return PokeReturnValue(is_done=False)
            return PokeReturnValue(is_done=True, xcom_value=self._manifest(decision, conn_id))

    def _check(self, wait: Wait, conn_id: str, *, remembers: bool) -> Decision:
        decision = self._check_once(wait, conn_id, POKE_SECONDS)
        for pause in () if remembers else _PAUSES_AFTER_NOT_FOUND:
            if not isinstance(decision, PollAgain) or decision.wait.failure_kind is not FailureKind.NOT_FOUND:
                break
            time.sleep(pause)
            decision = self._check_once(decision.wait, conn_id, POKE_SECONDS)
        return decision

    def _check_once(self, wait: Wait, conn_id: str, limit_seconds: float) -> Decision:
        with SoraHook(conn_id) as hook:
            return hook.check_video(wait, lambda video: self.log.info(*progress_line(video)), limit_seconds)

    def _manifest(self, ended: Done | GiveUp, conn_id: str) -> dict[str, Any]:
        if isinstance(ended, GiveUp):
            raise ended.error
        return VideoManifest.of(ended.video, conn_id).to_json()

    def _store(self, context: Context) -> StateStore | None:
        """Where the sensor remembers failed status checks: None in reschedule mode before Airflow 3.3."""
        if self.reschedule:
            store: StateStore | None = context.get("task_state_store")
            return store
        self._own_store = self._own_store or InMemoryStore()
        return self._own_store

    def _job(self) -> tuple[str, str]:
        """The job's id, and the connection of its server."""
        video_id = video_id_of(self.video)
        if video_id is None:
            raise SoraConfigError(f"video is {quoted(self.video)}; it has to be an id or a manifest")
        named = self.video.get("conn_id") if isinstance(self.video, Mapping) else None
        return video_id, self.sora_conn_id or named or DEFAULT_CONN_ID

    @contextmanager
    def _skip_if_asked(self) -> Iterator[None]:
        """Fail as Airflow's sensors do: a timeout is not retried, and `soft_fail` and `never_fail` skip the task."""
        try:
            with fail_without_retry():
                yield
        except (SoraError, AirflowFailException) as error:
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(f"{error}") from error
            if isinstance(error, SoraWaitTimeoutError):
                raise AirflowSensorTimeout(f"{error}") from error
            raise


def _try_number(context: Context) -> int:
    ti: Any = context.get("ti")
    return int(getattr(ti, "try_number", None) or 1)
