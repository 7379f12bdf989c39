"""Waits for a video that something else started."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from airflow_provider_sora.api.decisions.polling import Decision, Done, GiveUp, Wait
from airflow_provider_sora.compat import AirflowSkipException, BaseSensorOperator, Context, PokeReturnValue
from airflow_provider_sora.events import VideoEvent
from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.hooks.sora import DEFAULT_CONN_ID, SoraHook
from airflow_provider_sora.manifest import VideoManifest
from airflow_provider_sora.masking import quoted
from airflow_provider_sora.sensors import failure_count
from airflow_provider_sora.sensors.failure_count import FailureCount
from airflow_provider_sora.sources import check_ids, video_id_of
from airflow_provider_sora.tasks.arguments import constant, or_default_deferrable
from airflow_provider_sora.tasks.failures import fail_without_retry
from airflow_provider_sora.tasks.progress import progress_line
from airflow_provider_sora.tasks.retry import use_retry_policy
from airflow_provider_sora.triggers.sora import SoraVideoTrigger


class SoraVideoSensor(BaseSensorOperator):
    """Waits until a video is completed, whoever started it; takes Airflow's usual sensor arguments.

    In each mode (deferred, poke, reschedule) a status check that fails is not a video that fails: the wait lasts
    until ten checks in a row have failed in the same way, or the server and its list no longer know the job.

    :param video: the video's id, or the manifest of a task that did not wait
    :param sora_conn_id: the connection of the server; default: the manifest's own, or ``sora_default`` for an id
    :param deferrable: wait in the triggerer; default: ``[operators] default_deferrable``
    :returns: the manifest
    :raises SoraVideoFailedError: the server could not make the video; with `soft_fail` the task is skipped instead
    :raises SoraWaitError: waiting ended before the job did
    """

    template_fields: Sequence[str] = ("video", "sora_conn_id")
    ui_color = "#f2ecd9"
    _failures = FailureCount()

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
        """Poll the job until it has ended: once here, and then in the triggerer where it still runs."""
        if not self.deferrable:
            return super().execute(context)
        with fail_without_retry():
            video_id, conn_id = self._source()
            decision = self._check(video_id, conn_id, FailureCount())
        if isinstance(decision, Done):
            return self.execute_complete(context, VideoEvent.of(VideoManifest.of(decision.video, conn_id)).to_json())
        if isinstance(decision, GiveUp):
            return self.execute_complete(context, VideoEvent.of_error(video_id, decision.error).to_json())
        return self._defer(video_id, conn_id, decision.wait.submitted_at)

    def _defer(self, video_id: str, conn_id: str, submitted_at: float | None) -> Any:
        timeout = _seconds(self.timeout)
        return self.defer(
            trigger=SoraVideoTrigger(
                sora_conn_id=conn_id,
                video_id=video_id,
                deadline=time.time() + timeout,
                poll_interval=_seconds(self.poke_interval),
                submitted_at=submitted_at,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=timeout, minutes=5),
        )

    def execute_complete(self, context: Context, event: Any = None) -> dict[str, Any]:  # noqa: ARG002
        """Turn the event of a wait into the manifest, or into the error it stands for."""
        try:
            with fail_without_retry():
                return VideoEvent.parse(event).manifest().to_json()
        except Exception as error:
            if self.soft_fail:
                raise AirflowSkipException(f"{error}") from error
            raise

    def poke(self, context: Context) -> PokeReturnValue:
        """Poll the job once."""
        is_rescheduled = self.mode == "reschedule"
        with fail_without_retry():
            video_id, conn_id = self._source()
            before = failure_count.load(context, is_rescheduled=is_rescheduled, in_memory=self._failures)
            decision = self._check(video_id, conn_id, before)
            if isinstance(decision, GiveUp):
                raise decision.error
        if isinstance(decision, Done):
            return PokeReturnValue(is_done=True, xcom_value=VideoManifest.of(decision.video, conn_id).to_json())
        self._failures = FailureCount(failures=decision.wait.failures, kind=decision.wait.failure_kind)
        failure_count.save(context, before, self._failures, is_rescheduled=is_rescheduled)
        return PokeReturnValue(is_done=False)

    def _check(self, video_id: str, conn_id: str, before: FailureCount) -> Decision:
        """Poll once, and decide as the trigger does.

        :raises SoraConfigError: the connection cannot be used
        """
        state = Wait(
            video_id,
            math.inf,  # Airflow keeps a sensor's timeout
            _seconds(self.poke_interval),
            failures=before.failures,
            failure_kind=before.kind,
        )
        with SoraHook(conn_id) as hook:
            return hook.check_video(state, lambda video: self.log.info(*progress_line(video)))

    def _source(self) -> tuple[str, str]:
        video_id = video_id_of(self.video)
        if video_id is None:
            raise SoraConfigError(f"video is {quoted(self.video)}; it has to be an id or a manifest")
        named = self.video.get("conn_id") if isinstance(self.video, Mapping) else None
        return video_id, self.sora_conn_id or named or DEFAULT_CONN_ID


def _seconds(value: float | timedelta) -> float:
    return value.total_seconds() if isinstance(value, timedelta) else float(value)
