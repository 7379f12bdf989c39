"""The one value that crosses the border between triggerer and worker: built, parsed and validated here."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from airflow_provider_sora import __version__
from airflow_provider_sora.exceptions import (
    SoraError,
    SoraResponseError,
    SoraVideoFailedError,
    SoraVideoGoneError,
    SoraVideoRejectedError,
    SoraWaitError,
    SoraWaitTimeoutError,
)
from airflow_provider_sora.manifest import VideoManifest
from airflow_provider_sora.masking import quoted

VERSION: Literal[1] = 1
UNKNOWN_ID = "unknown"  # for a job whose id is not known: a trigger's row may lack it
Outcome = Literal["completed", "failed", "refused", "gone", "timeout", "stopped"]


class VideoEvent(BaseModel):
    """How a wait ended: with a video, or with the parts its error is made of. All plain JSON.

    :param version: of this model; a worker refuses the event of a newer triggerer instead of misreading it
    :param step: which of several jobs that build on each other was waited for, from 0. It comes with the event and not
        with the deferral's own arguments, which `dags test` drops: a lost step would be paid for again
    :param outcome: `completed`; `failed` or `refused` by the server, or `gone` from it; ended by `timeout`, or
        `stopped` by an error
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = VERSION
    outcome: Outcome
    video_id: str
    step: int = 0
    video: VideoManifest | None = None
    status: str = ""
    code: str = ""
    message: str = ""
    retryable: bool = True

    @model_validator(mode="after")
    def _completed_means_a_video(self) -> VideoEvent:
        if (self.outcome == "completed") != (self.video is not None):
            raise ValueError("an event carries a video exactly when its outcome is completed")
        return self

    @classmethod
    def of(cls, manifest: VideoManifest, step: int = 0) -> VideoEvent:
        """The event for a finished video."""
        return cls(outcome="completed", video_id=manifest.id, step=step, video=manifest)

    @classmethod
    def of_error(cls, video_id: str, error: SoraError, step: int = 0) -> VideoEvent:
        """The event for a wait that brought no video."""
        return cls._of_error(video_id, error).model_copy(update={"step": step})

    @classmethod
    def _of_error(cls, video_id: str, error: SoraError) -> VideoEvent:
        if isinstance(error, SoraVideoGoneError):
            return cls(outcome="gone", video_id=video_id, status=error.last_status)
        if isinstance(error, SoraVideoFailedError):
            outcome: Outcome = "refused" if isinstance(error, SoraVideoRejectedError) else "failed"
            return cls(outcome=outcome, video_id=video_id, status=error.status, code=error.code, message=error.message)
        if isinstance(error, SoraWaitError):
            outcome = "timeout" if isinstance(error, SoraWaitTimeoutError) else "stopped"
            return cls(
                outcome=outcome,
                video_id=video_id,
                status=error.last_status,
                message=error.cause,
                retryable=error.retryable,
            )
        return cls(
            outcome="stopped", video_id=video_id, status="unknown", message=str(error), retryable=error.retryable
        )

    @classmethod
    def parse(cls, payload: object) -> VideoEvent:
        """An event as it came from the triggerer.

        :raises SoraResponseError: it is missing or not an event; never to be taken for success
        """
        version = payload.get("version", VERSION) if isinstance(payload, dict) else VERSION
        if version != VERSION:
            raise SoraResponseError(
                f"the triggerer sent an event of version {quoted(version)}, and this worker reads version {VERSION}: "
                f"install one version of airflow-provider-sora in workers and triggerers ({__version__} is in this one)"
            )
        try:
            return cls.model_validate(payload)
        except ValidationError as error:
            raise SoraResponseError(
                f"the triggerer sent what is no video event ({error.error_count()} errors): {quoted(payload, 200)}"
            ) from None

    def to_json(self) -> dict[str, Any]:
        """The event as plain JSON values: anything else can bring a triggerer down."""
        return self.model_dump(mode="json")

    @property
    def leaves_running(self) -> bool:
        """Whether the wait ended before the job did."""
        return self.outcome in ("timeout", "stopped")

    def manifest(self) -> VideoManifest:
        """The finished video.

        :raises SoraVideoFailedError: the job ended without one, or the server no longer has it
        :raises SoraWaitError: waiting ended before the job did
        """
        if self.video is not None:
            return self.video
        raise self._error()

    def _error(self) -> SoraError:
        if self.outcome == "gone":
            return SoraVideoGoneError(self.video_id, last_status=self.status)
        if self.outcome == "timeout":
            return SoraWaitTimeoutError(self.video_id, self.message, last_status=self.status)
        if self.outcome == "stopped":
            return SoraWaitError(self.video_id, self.message, last_status=self.status, retryable=self.retryable)
        error_type = SoraVideoRejectedError if self.outcome == "refused" else SoraVideoFailedError
        return error_type(self.video_id, self.code, self.message, status=self.status)
