"""Waits for a video that something else started."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from airflow_provider_sora.api.protocol.error_mapping import failed_video_error
from airflow_provider_sora.api.protocol.models import Video, VideoStatus
from airflow_provider_sora.compat import (
    AirflowSkipException,
    BaseSensorOperator,
    Context,
    PokeReturnValue,
    conf,
)
from airflow_provider_sora.events import VideoEvent
from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.hooks.sora import DEFAULT_CONN_ID, SoraHook
from airflow_provider_sora.manifest import VideoManifest
from airflow_provider_sora.masking import quoted
from airflow_provider_sora.operators.base import constant, fail_without_retry
from airflow_provider_sora.sources import check_ids, video_id_of
from airflow_provider_sora.triggers.sora import SoraVideoTrigger, progress_line


class SoraVideoSensor(BaseSensorOperator):
    """Waits until a video is there, whoever started it; takes Airflow's usual sensor arguments.

    :param video: the video's id, or the manifest of a task that did not wait
    :param sora_conn_id: the connection of the server; default: the manifest's own, or ``sora_default`` for an id
    :param deferrable: wait in the triggerer; default: ``[operators] default_deferrable``
    :returns: the manifest
    :raises SoraVideoFailedError: the server could not make the video; with `soft_fail` the task is skipped instead
    """

    template_fields: Sequence[str] = ("video", "sora_conn_id")
    ui_color = "#f2ecd9"

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
        if deferrable is None:
            deferrable = conf.getboolean("operators", "default_deferrable", fallback=False)
        self.video = video
        self.sora_conn_id = sora_conn_id
        self.deferrable = deferrable
        check_ids(constant(video))

    def execute(self, context: Context) -> Any:
        """Poll the job until it has ended: once here, and then in the triggerer where it still runs."""
        if not self.deferrable:
            return super().execute(context)
        with fail_without_retry():
            video_id, conn_id = self._where()
            with SoraHook(conn_id) as hook:
                video = hook.poll_video(video_id)
        if video is not None and not video.status.is_running:
            return self.execute_complete(context, _event(video, conn_id).to_json())
        return self._defer(video_id, conn_id, video)

    def _defer(self, video_id: str, conn_id: str, video: Video | None) -> Any:
        timeout = _seconds(self.timeout)
        return self.defer(
            trigger=SoraVideoTrigger(
                sora_conn_id=conn_id,
                video_id=video_id,
                deadline=time.time() + timeout,
                poll_interval=_seconds(self.poke_interval),
                since=video.created_at if video is not None else None,
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

    def poke(self, context: Context) -> PokeReturnValue:  # noqa: ARG002 - Airflow's signature
        """Look at the job once."""
        with fail_without_retry():
            video_id, conn_id = self._where()
            with SoraHook(conn_id) as hook:
                video = hook.get_video(video_id)
            self.log.info(*progress_line(video))
            if video.status is VideoStatus.COMPLETED:
                return PokeReturnValue(is_done=True, xcom_value=VideoManifest.of(video, conn_id).to_json())
            if not video.status.is_running:
                raise failed_video_error(video)
        return PokeReturnValue(is_done=False)

    def _where(self) -> tuple[str, str]:
        video_id = video_id_of(self.video)
        if video_id is None:
            raise SoraConfigError(f"video is {quoted(self.video)}; it has to be an id or a manifest")
        named = self.video.get("conn_id") if isinstance(self.video, Mapping) else None
        return video_id, self.sora_conn_id or named or DEFAULT_CONN_ID


def _event(video: Video, conn_id: str) -> VideoEvent:
    if video.status is VideoStatus.COMPLETED:
        return VideoEvent.of(VideoManifest.of(video, conn_id))
    return VideoEvent.of_error(video.id, failed_video_error(video))


def _seconds(value: float | timedelta) -> float:
    return value.total_seconds() if isinstance(value, timedelta) else float(value)
