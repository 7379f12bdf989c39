"""The value that a trigger sends to its task: how a wait ended. Built, parsed and validated here.

Triggerers and workers are upgraded one after the other, and events wait in Airflow's database: each has a version, and
those of earlier versions are read. `tests/golden` has an example of each.
"""

from __future__ import annotations

from collections.abc import Mapping
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

# Version 1 had no version field, and `refused` in place of `rejected`.
VERSION: Literal[2] = 2
# In place of the id of a job that the trigger does not know.
UNKNOWN_ID = "unknown"

Outcome = Literal["completed", "failed", "rejected", "gone", "timeout", "stopped"]


class VideoEvent(BaseModel):
    """How a wait ended: with a video, or with an error, in parts. All plain JSON.

    :param step: which of several jobs that build on each other was waited for, from 0. It is in the event and not in
        the arguments of the deferral, which `dags test` drops: a lost step would be paid for again
    :param outcome: ``completed``; ``failed`` or ``rejected`` by the server, or ``gone`` from it; ended by ``timeout``,
        or ``stopped`` by an error
    :param retryable: of an event that was ``stopped``: whether a retry can help
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[2] = VERSION
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
        """The event for a completed video."""
        return cls(outcome="completed", video_id=manifest.id, step=step, video=manifest)

    @classmethod
    def of_error(cls, video_id: str, error: SoraError, step: int = 0) -> VideoEvent:
        """The event for a wait that ended without a video."""
        return cls._of_error(video_id, error).model_copy(update={"step": step})

    @classmethod
    def _of_error(cls, video_id: str, error: SoraError) -> VideoEvent:
        if isinstance(error, SoraVideoGoneError):
            return cls(outcome="gone", video_id=video_id, status=error.last_status)
        if isinstance(error, SoraVideoFailedError):
            outcome: Outcome = "rejected" if isinstance(error, SoraVideoRejectedError) else "failed"
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
        """An event as it came from the triggerer, of this version or an earlier one.

        :raises SoraResponseError: there is no event, or it cannot be read; the job is still on the server, and a retry
            reconnects to it
        """
        version = payload.get("version", 1) if isinstance(payload, Mapping) else 1
        if isinstance(version, int) and version > VERSION:
            raise SoraResponseError(
                f"the triggerer sent a video event of version {version}, and airflow-provider-sora {__version__} in "
                f"this worker reads up to version {VERSION}. Install one version in workers and triggerers"
            )
        try:
            return cls.model_validate(_upgraded(payload) if version == 1 else payload)
        except ValidationError as error:
            raise SoraResponseError(
                f"the triggerer sent no video event ({error.error_count()} errors): {quoted(payload, 200)}"
            ) from None

    def to_json(self) -> dict[str, Any]:
        """The event as plain JSON values: anything else can crash a triggerer."""
        return self.model_dump(mode="json")

    @property
    def leaves_running(self) -> bool:
        """Whether the wait ended before the job did."""
        return self.outcome in ("timeout", "stopped")

    def manifest(self) -> VideoManifest:
        """The completed video.

        :raises SoraVideoFailedError: the job ended without a video, or the server no longer has it
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
        error_type = SoraVideoRejectedError if self.outcome == "rejected" else SoraVideoFailedError
        return error_type(self.video_id, self.code, self.message, status=self.status)


def _upgraded(payload: object) -> object:
    """An event of version 1 as this version writes it."""
    if not isinstance(payload, Mapping):
        return payload
    outcome = payload.get("outcome")
    return {**payload, "version": VERSION, "outcome": "rejected" if outcome == "refused" else outcome}
