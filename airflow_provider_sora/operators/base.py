"""What all operators that start a video job share: submit, wait, hand on the manifest."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, cast, get_args

from airflow_provider_sora.api.decisions.polling import Wait
from airflow_provider_sora.api.protocol import validation
from airflow_provider_sora.api.protocol.models import Video, VideoStatus
from airflow_provider_sora.api.protocol.requests import JobRequest, Request
from airflow_provider_sora.compat import AirflowFailException, AirflowTaskTimeout, BaseOperator, Context, conf
from airflow_provider_sora.events import VideoEvent
from airflow_provider_sora.exceptions import SoraConfigError, SoraError, SoraWaitError
from airflow_provider_sora.hooks.sora import DEFAULT_CONN_ID, SoraHook
from airflow_provider_sora.manifest import VideoManifest
from airflow_provider_sora.masking import quoted
from airflow_provider_sora.operators.attempts import attempt_of
from airflow_provider_sora.operators.xcom_claims import XComClaims
from airflow_provider_sora.retry import use_retry_policy
from airflow_provider_sora.submission import Attempt, OnAmbiguous, submit_once
from airflow_provider_sora.submission.claims import OwnedJob
from airflow_provider_sora.submission.record import Fingerprint, Stage, id_digest
from airflow_provider_sora.triggers.sora import SoraVideoTrigger, progress_line
from airflow_provider_sora.triggers.versions import UNKNOWN_ID

# The triggerer keeps the deadline itself; Airflow's own limit only serves where no triggerer runs any more.
_GRACE = timedelta(minutes=5)
_MOST_SECONDS = 10 * 366 * 86_400.0  # a deadline has to fit into a date


@contextmanager
def fail_without_retry() -> Iterator[None]:
    """Turn an error that a retry cannot help into one that Airflow does not retry."""
    try:
        yield
    except SoraError as error:
        if error.retryable:
            raise
        raise AirflowFailException(f"{type(error).__name__}: {error}") from error


class SoraJobOperator(BaseOperator):
    """Starts a video job, or several that build on each other, and waits for it.

    :param sora_conn_id: the connection of the server
    :param wait_for_completion: wait for the video; otherwise the manifest of the running job is returned at once
    :param deferrable: wait in the triggerer, without holding a worker; default: ``[operators] default_deferrable``
    :param poll_interval: the longest pause between two looks, in seconds; progress, and how long earlier jobs took,
        make it shorter
    :param timeout: how long to wait for a job, in seconds or as a timedelta; it is left running when that has passed
    :param parameters: any further fields the server knows, for example ``{"seed": 7}``
    :param on_ambiguous: where an earlier try may have submitted and nothing tells whether it did: ``fail``, naming the
        candidates, or ``submit``, which may pay twice
    :param reuse_on_clear: take up what a cleared task had made, instead of making a new video
    :param cancel_on_kill: delete the job on the server when a user clears or marks the deferred task (Airflow 3.3 and
        later), or when the last try is killed in a worker; a job with another try to come is left for that
    :param end_from_trigger: where the video is all that is waited for, end the deferred task in the triggerer, without
        a worker; what Airflow leaves out then is in docs/operators.md
    :returns: the manifest of the last video
    :raises SoraVideoFailedError: the server could not make the video
    :raises SoraWaitError: waiting ended before the job did
    """

    template_fields: Sequence[str] = ("sora_conn_id", "parameters")
    _running: str | None = None
    _has_a_retry = False
    makes_videos = True
    template_fields_renderers = {"prompt": "md", "parameters": "json"}  # noqa: RUF012 - Airflow's own convention
    ui_color = "#e8e0f7"

    def __init__(
        self,
        *,
        sora_conn_id: str = DEFAULT_CONN_ID,
        wait_for_completion: bool = True,
        deferrable: bool | None = None,
        poll_interval: float = 10.0,
        timeout: float | timedelta = 3600.0,
        parameters: dict[str, Any] | None = None,
        on_ambiguous: OnAmbiguous = "fail",
        reuse_on_clear: bool = False,
        cancel_on_kill: bool = True,
        end_from_trigger: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if end_from_trigger and self.outlets:
            raise SoraConfigError(
                "end_from_trigger is set, and the task has outlets: Airflow makes no asset events for a task that ends "
                "in the triggerer. Leave one of them out"
            )
        use_retry_policy(self)
        if on_ambiguous not in get_args(OnAmbiguous):
            raise SoraConfigError(
                f"on_ambiguous is {on_ambiguous!r}; it has to be one of {', '.join(get_args(OnAmbiguous))}"
            )
        if deferrable is None:
            deferrable = conf.getboolean("operators", "default_deferrable", fallback=False)
        self.sora_conn_id = sora_conn_id
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval = positive_seconds("poll_interval", poll_interval)
        self.timeout = positive_seconds("timeout", timeout)
        self.parameters = parameters
        validation.check_parameters(parameters)
        self.on_ambiguous = on_ambiguous
        self.reuse_on_clear = reuse_on_clear
        self.cancel_on_kill = cancel_on_kill
        self.end_from_trigger = end_from_trigger

    @abstractmethod
    def build_request(self, hook: SoraHook, step: int, source: VideoManifest | None) -> Request[Video]:
        """The request of a step, from the rendered fields; `source` is the video of the step before.

        :raises SoraConfigError: a field will not do
        """

    def step_count(self) -> int:
        """How many jobs build on each other."""
        return 1

    def execute(self, context: Context) -> dict[str, Any]:
        """Submit the job and wait for it; returns the manifest."""
        return self._make(context, 0, None)

    def execute_complete(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Turn the event of a wait into the manifest, or into the error it stands for; start the next step, if any."""
        with fail_without_retry():
            ended = VideoEvent.parse(event)
        self._check_job(context, ended)
        goes_on = ended.video is not None and ended.step + 1 < self.step_count()
        self._mark(context, ended.step, "open" if goes_on or ended.leaves_running else "done")
        with fail_without_retry():
            manifest = ended.manifest()
        self.log.info("Video %s: completed (%s s, %s)", manifest.id, manifest.seconds, manifest.size)
        return self._make(context, ended.step + 1, manifest) if goes_on else manifest.to_json()

    def _check_job(self, context: Context, ended: VideoEvent) -> None:
        """A database that reuses the numbers of trigger rows can bring the event of a wait that a Clear has ended.

        :raises SoraWaitError: the event is of another job than this task's
        """
        own = self._attempt(context, ended.step).video_id()
        is_told = ended.video_id != UNKNOWN_ID and own is not None
        if is_told and id_digest(str(own)) != id_digest(ended.video_id):
            raise SoraWaitError(
                ended.video_id, f"the task waits for {own}, and the event is of another job", last_status=ended.status
            )

    def _mark(self, context: Context, step: int, stage: Stage) -> None:
        """Remember, for this step and those before, what a Clear is to make of them.

        The first step is the one that counts if this is cut off: it is opened first, and closed last.
        """
        steps = range(step + 1)
        for each in steps if stage == "open" else reversed(steps):
            self._attempt(context, each).mark(stage)

    def _make(self, context: Context, step: int, source: VideoManifest | None) -> dict[str, Any]:
        with fail_without_retry(), SoraHook(self.sora_conn_id) as hook:
            video = self._submit(context, hook, step, source)
            self._running = video.id
            if not self.wait_for_completion and step + 1 == self.step_count() and video.status.is_running:
                self._mark(context, step, "done")
                return VideoManifest.of(video, self.sora_conn_id).to_json()
            wait = Wait(video.id, time.time() + self.timeout, self.poll_interval, self._since(hook, video))
            if self.deferrable and video.status.is_running:
                # From here on a Clear deletes the job (`cancel_on_kill`): it is a wish for another video.
                self._mark(context, step, "done" if self._ends_in_the_trigger(step) else "waiting")
                self._defer(wait, step)
            event = self._ended(hook, video, wait, step)
        return self.execute_complete(context, event.to_json())

    def _submit(self, context: Context, hook: SoraHook, step: int, source: VideoManifest | None) -> Video:
        attempt = self._attempt(context, step)
        self._has_a_retry = attempt.has_retries_left
        request = cast("JobRequest", self.build_request(hook, step, source))
        video = submit_once(hook.get_conn(), request, attempt)
        if "ti" in context:
            asked = Fingerprint.of(request)
            XComClaims(context, step).publish_job(OwnedJob(video_id=video.id, prompt=asked.prompt, model=asked.model))
        self.log.info("Video %s: %s on %s", video.id, video.status.value, hook.get_conn().config.base_url)
        return video

    def _attempt(self, context: Context, step: int) -> Attempt:
        return attempt_of(
            context,
            step,
            retries=self.retries or 0,
            reuse=self.reuse_on_clear,
            on_ambiguous=self.on_ambiguous,
            log=self.log.info,
        )

    @staticmethod
    def _since(hook: SoraHook, video: Video) -> float:
        """When the job was submitted, by this machine's clock: now, unless an earlier try had done it."""
        now = time.time()
        if video.created_at is None:
            return now
        return min(now, video.created_at - hook.get_conn().clock_offset_seconds)

    def on_kill(self) -> None:
        """Delete the job that a killed task was waiting for: best effort, in bounded time.

        Airflow does not say who killed: a user, or the end of a pod or a worker. Where another try is to come, the job
        is left for it; deleting it would make that try pay again.
        """
        if self._running is None or not self.cancel_on_kill:
            return
        if self._has_a_retry:
            self.log.info("Killed: video %s is left running for the next try", self._running)
            return
        with SoraHook(self.sora_conn_id) as hook:
            self.log.info("Killed: %s", hook.cancel_video(self._running))

    def _ends_in_the_trigger(self, step: int) -> bool:
        return self.end_from_trigger and step + 1 == self.step_count()

    def _defer(self, wait: Wait, step: int) -> None:
        self.defer(
            trigger=SoraVideoTrigger(
                sora_conn_id=self.sora_conn_id,
                video_id=wait.video_id,
                deadline=wait.deadline,
                poll_interval=wait.poll_interval_seconds,
                since=wait.submitted_at,
                step=step,
                cancel_on_kill=self.cancel_on_kill,
                keep_on_clear=self.reuse_on_clear,
                end_task=self._ends_in_the_trigger(step),
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout) + _GRACE,
        )

    def _ended(self, hook: SoraHook, video: Video, wait: Wait, step: int) -> VideoEvent:
        try:
            if video.status is not VideoStatus.COMPLETED:
                video = hook.wait_for_video(wait, self._log_progress)
        except SoraError as error:
            return VideoEvent.of_error(wait.video_id, error, step)
        except AirflowTaskTimeout:
            # Airflow kills the task next; what has been paid for is left for its retry.
            self._running = None
            self.log.warning(
                "The task's execution_timeout has passed; video %s is left running on the server", video.id
            )
            raise
        self._running = None
        return VideoEvent.of(VideoManifest.of(video, self.sora_conn_id), step)

    def _log_progress(self, video: Video) -> None:
        self.log.info(*progress_line(video))

    def _further_fields(self, *named: str) -> dict[str, Any]:
        return further_fields(self.parameters, *named)


def further_fields(parameters: Any, *named: str) -> dict[str, Any]:
    """The rendered `parameters`.

    :raises SoraConfigError: they are no dict, or have a field that is an argument of the operator
    """
    fields = parameters or {}
    if not isinstance(fields, dict):
        raise SoraConfigError(f"parameters is {quoted(parameters)}; it has to be a dict of fields by their names")
    validation.check_parameters(fields)
    clash = sorted(set(fields) & {*named, "fit", "reference_as", "storage_conn_id"})
    if clash:
        raise SoraConfigError(f"parameters has {', '.join(clash)}: pass it as an argument of its own")
    return fields


def constant(value: Any) -> Any:
    """A value that is known while the DAG is parsed; None for one that a template or another task gives."""
    if isinstance(value, str):
        return None if "{{" in value or "{%" in value else value
    if isinstance(value, list | tuple):
        return value if all(constant(item) is not None for item in value) else None
    return value if isinstance(value, int | float | dict) else None


def positive_seconds(name: str, value: float | timedelta) -> float:
    """A length of time in seconds.

    :raises SoraConfigError: it is not above 0
    """
    try:
        seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    except (TypeError, ValueError, OverflowError):
        seconds = 0
    if not 0 < seconds <= _MOST_SECONDS:
        raise SoraConfigError(f"{name} is {quoted(value)}; it has to be more than 0 seconds and at most ten years")
    return seconds
