"""Operators that make videos."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException, BaseOperator, Context, conf

from airflow_provider_sora.api import uploads
from airflow_provider_sora.api.decisions import Wait
from airflow_provider_sora.api.models import Video, VideoStatus
from airflow_provider_sora.api.requests import CreateVideo, Request
from airflow_provider_sora.events import VideoEvent
from airflow_provider_sora.exceptions import SoraConfigError, SoraError
from airflow_provider_sora.hooks.sora import DEFAULT_CONN_ID, SoraHook, build, deadline_in
from airflow_provider_sora.manifest import VideoManifest
from airflow_provider_sora.triggers.sora import SoraVideoTrigger, progress_line

# The triggerer keeps the deadline itself; Airflow's own limit only serves where no triggerer runs any more.
_GRACE = timedelta(minutes=5)


@contextmanager
def failing_fast() -> Iterator[None]:
    """Turn an error that a retry cannot help into one that Airflow does not retry."""
    try:
        yield
    except SoraError as error:
        if error.retryable:
            raise
        raise AirflowFailException(f"{type(error).__name__}: {error}") from error


class SoraJobOperator(BaseOperator):
    """What all operators that start a video job share: submit, wait, hand on the manifest.

    :param sora_conn_id: the connection of the server
    :param wait_for_completion: wait for the video; otherwise the manifest of the running job is returned at once
    :param deferrable: wait in the triggerer, without holding a worker; default: ``[operators] default_deferrable``
    :param poll_interval: seconds between two looks
    :param timeout: how long to wait, in seconds or as a timedelta; the job is left running when it has passed
    :raises SoraVideoFailedError: the server could not make the video
    :raises SoraWaitError: waiting ended before the job did
    """

    template_fields: Sequence[str] = ("sora_conn_id",)
    ui_color = "#e8e0f7"

    def __init__(
        self,
        *,
        sora_conn_id: str = DEFAULT_CONN_ID,
        wait_for_completion: bool = True,
        deferrable: bool | None = None,
        poll_interval: float = 10.0,
        timeout: float | timedelta = 3600.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if deferrable is None:
            deferrable = conf.getboolean("operators", "default_deferrable", fallback=False)
        self.sora_conn_id = sora_conn_id
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval = _positive("poll_interval", poll_interval)
        self.timeout = _positive("timeout", timeout)

    @abstractmethod
    def build_request(self) -> Request[Video]:
        """The request, from the rendered fields.

        :raises SoraConfigError: a field will not do
        """

    def execute(self, context: Context) -> dict[str, Any]:
        """Submit the job and wait for it; returns the manifest."""
        with failing_fast(), SoraHook(self.sora_conn_id) as hook:
            video = hook.get_conn().send(self.build_request())
            self.log.info("Video %s: accepted by %s", video.id, hook.get_conn().config.base_url)
            if not self.wait_for_completion and video.status.is_running:
                return VideoManifest.of(video, self.sora_conn_id).to_json()
            wait = Wait(video.id, deadline_in(self.timeout), self.poll_interval)
            if self.deferrable and video.status.is_running:
                self._defer(wait)
            event = self._ended(hook, video, wait)
        return self.execute_complete(context, event.to_json())

    def execute_complete(self, context: Context, event: Any = None) -> dict[str, Any]:  # noqa: ARG002 - Airflow's signature
        """Turn the event of a wait into the manifest, or into the error it stands for."""
        with failing_fast():
            manifest = VideoEvent.parse(event).manifest()
        self.log.info("Video %s: completed (%s s, %s)", manifest.id, manifest.seconds, manifest.size)
        return manifest.to_json()

    def _defer(self, wait: Wait) -> None:
        self.defer(
            trigger=SoraVideoTrigger(
                sora_conn_id=self.sora_conn_id,
                video_id=wait.video_id,
                deadline=wait.deadline,
                poll_interval=wait.poll_interval_seconds,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout) + _GRACE,
        )

    def _ended(self, hook: SoraHook, video: Video, wait: Wait) -> VideoEvent:
        try:
            if video.status is not VideoStatus.COMPLETED:
                video = hook.wait_for_video(wait, self._log_progress)
        except SoraError as error:
            return VideoEvent.of_error(wait.video_id, error)
        return VideoEvent.of(VideoManifest.of(video, self.sora_conn_id))

    def _log_progress(self, video: Video) -> None:
        self.log.info(*progress_line(video))


class SoraCreateVideoOperator(SoraJobOperator):
    """Make a video from a prompt, and perhaps a picture.

    :param prompt: what is to be seen
    :param model: the server's name of a model; default: the server's own
    :param seconds: length of the video
    :param size: ``"<width>x<height>"`` in pixels
    :param input_reference: a picture to start from: a local path, or its bytes
    :param parameters: any further fields the server knows, for example ``{"seed": 7}``
    """

    template_fields: Sequence[str] = (
        *SoraJobOperator.template_fields,
        "prompt",
        "model",
        "seconds",
        "size",
        "input_reference",
        "parameters",
    )
    template_fields_renderers = {"prompt": "md", "parameters": "json"}  # noqa: RUF012 - Airflow's own convention

    def __init__(
        self,
        *,
        prompt: str,
        model: str | None = None,
        seconds: str | int | None = None,
        size: str | None = None,
        input_reference: str | Path | bytes | None = None,
        parameters: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.prompt = prompt
        self.model = model
        self.seconds = seconds
        self.size = size
        self.input_reference = input_reference
        self.parameters = parameters

    def build_request(self) -> CreateVideo:
        """The create call, its picture read."""
        picture = None if self.input_reference is None else uploads.picture(self.input_reference)
        named = {"prompt": self.prompt, "model": self.model, "seconds": self.seconds, "size": self.size}
        clash = sorted(set(self.parameters or {}) & {*named, "input_reference"})
        if clash:
            raise SoraConfigError(f"parameters has {', '.join(clash)}: pass it as an argument of its own")
        return build(CreateVideo, **named, input_reference=picture, **(self.parameters or {}))


def _positive(name: str, value: float | timedelta) -> float:
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if seconds <= 0:
        raise SoraConfigError(f"{name} is {value!r}; it has to be more than 0 seconds")
    return seconds
