"""The base of all operators that start a video job: submit it, wait for it, return the manifest."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NoReturn, cast, get_args

from airflow_provider_sora.api.decisions.polling import Wait
from airflow_provider_sora.api.protocol import validation
from airflow_provider_sora.api.protocol.models import Video, VideoStatus
from airflow_provider_sora.api.protocol.requests import JobRequest, Request
from airflow_provider_sora.compat import AirflowTaskTimeout, BaseOperator, Context
from airflow_provider_sora.events import VideoEvent
from airflow_provider_sora.exceptions import SoraConfigError, SoraError
from airflow_provider_sora.hooks.sora import DEFAULT_CONN_ID, SoraHook
from airflow_provider_sora.manifest import VideoManifest
from airflow_provider_sora.masking import quoted
from airflow_provider_sora.submission import OnAmbiguous, submit_once
from airflow_provider_sora.submission.claims import OwnedJob
from airflow_provider_sora.submission.record import Fingerprint
from airflow_provider_sora.tasks.arguments import or_default_deferrable, positive_seconds
from airflow_provider_sora.tasks.attempts import Attempts
from airflow_provider_sora.tasks.failures import fail_without_retry
from airflow_provider_sora.tasks.progress import progress_line
from airflow_provider_sora.tasks.retry import use_retry_policy
from airflow_provider_sora.tasks.xcom_claims import XComClaims
from airflow_provider_sora.triggers.sora import SoraVideoTrigger

# The trigger keeps the deadline; Airflow's own timeout only matters when no triggerer runs.
_GRACE = timedelta(minutes=5)


class SoraJobOperator(BaseOperator):
    """Starts a video job, or several that build on each other, and waits for it.

    :param sora_conn_id: the connection of the server
    :param wait_for_completion: wait for the video; otherwise the manifest of the running job is returned at once
    :param deferrable: wait in the triggerer, without holding a worker; default: ``[operators] default_deferrable``
    :param poll_interval: the longest pause between two status checks, in seconds; progress, and how long earlier jobs
        took, make it shorter
    :param timeout: how long to wait for a job, in seconds or as a timedelta; then the job is left running
    :param parameters: any further fields that the server knows, for example ``{"seed": 7}``
    :param on_ambiguous: what to do if an earlier try may have submitted the job and nothing shows whether it did:
        ``fail``, naming the candidates, or ``resubmit``, which may pay twice
    :param reuse_on_clear: when the task is cleared, reconnect to its job instead of submitting a new one
    :param cancel_on_kill: delete the job on the server when a user clears or marks the deferred task (Airflow 3.3 and
        later), or when the last try is killed in a worker; before the last try the job is left for the next one
    :param end_from_trigger: end the deferred task in the triggerer, without a worker, once the video is completed;
        docs/operators.md lists what Airflow leaves out then
    :returns: the manifest of the last video
    :raises SoraVideoFailedError: the server could not make the video
    :raises SoraWaitError: waiting ended before the job did
    """

    template_fields: Sequence[str] = ("sora_conn_id", "parameters")
    template_fields_renderers = {"prompt": "md", "parameters": "json"}  # noqa: RUF012 - Airflow's own convention
    ui_color = "#e8e0f7"
    makes_videos = True
    _running: str | None = None
    _has_retries_left = False

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
        use_retry_policy(self)
        _check_ending(end_from_trigger, self.outlets)
        self.sora_conn_id = sora_conn_id
        self.wait_for_completion = wait_for_completion
        self.deferrable = or_default_deferrable(deferrable)
        self.poll_interval = positive_seconds("poll_interval", poll_interval)
        self.timeout = positive_seconds("timeout", timeout)
        self.parameters = parameters
        validation.check_parameters(parameters)
        self.on_ambiguous = _checked_choice(on_ambiguous)
        self.reuse_on_clear = reuse_on_clear
        self.cancel_on_kill = cancel_on_kill
        self.end_from_trigger = end_from_trigger

    @abstractmethod
    def build_request(self, hook: SoraHook, step: int, source: VideoManifest | None) -> Request[Video]:
        """The request of a step, from the rendered fields; `source` is the video of the step before.

        :raises SoraConfigError: a field is invalid
        """

    def step_count(self) -> int:
        """How many jobs build on each other."""
        return 1

    def execute(self, context: Context) -> dict[str, Any]:
        """Submit the job and wait for it; returns the manifest."""
        manifest = self._run_step(context, 0, None)
        return self._run_further_steps(context, 1, manifest)

    def execute_complete(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Resume after a wait in the triggerer: its event ends a step, and the further steps follow."""
        with fail_without_retry():
            ended = VideoEvent.parse(event)
        self._attempts(context).check_event(ended)
        manifest = self._finish_step(context, ended)
        return self._run_further_steps(context, ended.step + 1, manifest)

    def _run_further_steps(self, context: Context, first: int, manifest: VideoManifest) -> dict[str, Any]:
        for step in range(first, self.step_count()):
            manifest = self._run_step(context, step, manifest)
        return manifest.to_json()

    def _run_step(self, context: Context, step: int, source: VideoManifest | None) -> VideoManifest:
        """Submit the job of a step and wait for it, here or, by deferring, in the triggerer."""
        with fail_without_retry(), SoraHook(self.sora_conn_id) as hook:
            video = self._submit(context, hook, step, source)
            if not self.wait_for_completion and self._is_last(step) and video.status.is_running:
                self._attempts(context).mark(step, "done")
                return VideoManifest.of(video, self.sora_conn_id)
            wait = Wait(video.id, time.time() + self.timeout, self.poll_interval, _submitted_at(hook, video))
            if self.deferrable and video.status.is_running:
                self._defer(context, wait, step)
            ended = self._wait(hook, video, wait, step)
        return self._finish_step(context, ended)

    def _submit(self, context: Context, hook: SoraHook, step: int, source: VideoManifest | None) -> Video:
        attempt = self._attempts(context).of(step)
        self._has_retries_left = attempt.has_retries_left
        request = cast("JobRequest", self.build_request(hook, step, source))
        video = submit_once(hook.get_conn(), request, attempt)
        if "ti" in context:
            asked = Fingerprint.of(request)
            XComClaims(context, step).publish_job(OwnedJob(video_id=video.id, prompt=asked.prompt, model=asked.model))
        self.log.info("Video %s: %s on %s", video.id, video.status.value, hook.get_conn().config.base_url)
        self._running = video.id
        return video

    def _defer(self, context: Context, wait: Wait, step: int) -> NoReturn:
        ends_here = self.end_from_trigger and self._is_last(step)
        # From here on a Clear deletes the job (`cancel_on_kill`), since it asks for another video.
        self._attempts(context).mark(step, "done" if ends_here else "waiting")
        self.defer(
            trigger=SoraVideoTrigger(
                sora_conn_id=self.sora_conn_id,
                video_id=wait.video_id,
                deadline=wait.deadline,
                poll_interval=wait.poll_interval_seconds,
                submitted_at=wait.submitted_at,
                step=step,
                cancel_on_kill=self.cancel_on_kill,
                keep_on_clear=self.reuse_on_clear,
                end_task=ends_here,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout) + _GRACE,
        )

    def _wait(self, hook: SoraHook, video: Video, wait: Wait, step: int) -> VideoEvent:
        try:
            if video.status is not VideoStatus.COMPLETED:
                video = hook.wait_for_video(wait, lambda seen: self.log.info(*progress_line(seen)))
        except SoraError as error:
            return VideoEvent.of_error(wait.video_id, error, step)
        except AirflowTaskTimeout:
            self._running = None  # Airflow calls `on_kill` next; the job is paid for, and left for the retry
            self.log.warning("The execution_timeout of the task has passed; video %s is left running", video.id)
            raise
        self._running = None
        return VideoEvent.of(VideoManifest.of(video, self.sora_conn_id), step)

    def _finish_step(self, context: Context, ended: VideoEvent) -> VideoManifest:
        """Record how a step ended; its manifest, or the error that ended it."""
        is_open = ended.leaves_running or (ended.video is not None and not self._is_last(ended.step))
        self._attempts(context).mark(ended.step, "open" if is_open else "done")
        with fail_without_retry():
            manifest = ended.manifest()
        self.log.info("Video %s: completed (%s s, %s)", manifest.id, manifest.seconds, manifest.size)
        return manifest

    def on_kill(self) -> None:
        """Delete the job that a killed task was waiting for: best effort, in bounded time.

        Airflow does not say why it kills: a user, or a worker or a pod that ends. If another try follows, the job is
        left for it; deleting the job would make that try pay again.
        """
        if self._running is None or not self.cancel_on_kill:
            return
        if self._has_retries_left:
            self.log.info("Killed: video %s is left running for the next try", self._running)
            return
        with SoraHook(self.sora_conn_id) as hook:
            self.log.info("Killed: %s", hook.cancel_video(self._running))

    def _is_last(self, step: int) -> bool:
        return step + 1 >= self.step_count()

    def _attempts(self, context: Context) -> Attempts:
        return Attempts(context, self.retries or 0, self.reuse_on_clear, self.on_ambiguous, self.log.info)


def _submitted_at(hook: SoraHook, video: Video) -> float:
    """When the job was submitted, by this machine's clock: now, unless an earlier try submitted it."""
    now = time.time()
    if video.created_at is None:
        return now
    return min(now, video.created_at - hook.get_conn().clock_offset_seconds)


def _checked_choice(on_ambiguous: Any) -> OnAmbiguous:
    if on_ambiguous == "submit":
        raise SoraConfigError("on_ambiguous is 'submit', which has been renamed: use 'resubmit'")
    choices: tuple[OnAmbiguous, ...] = get_args(OnAmbiguous)
    for choice in choices:
        if on_ambiguous == choice:
            return choice
    raise SoraConfigError(f"on_ambiguous is {quoted(on_ambiguous)}; it has to be one of {', '.join(choices)}")


def _check_ending(end_from_trigger: bool, outlets: Sequence[Any]) -> None:
    if end_from_trigger and outlets:
        raise SoraConfigError(
            "end_from_trigger is set, and the task has outlets: Airflow creates no asset events for a task that ends "
            "in the triggerer. Leave one of them out"
        )
