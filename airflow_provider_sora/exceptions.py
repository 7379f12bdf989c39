"""Every error this package raises.

SoraError
├── SoraConfigError           the connection or an argument is wrong; nothing was sent
├── SoraConnectionError       no response: refused, timed out, broken, TLS
│   └── SoraAmbiguousError    ... while sending something paid: the server may have accepted it
├── SoraUndecidedError        an earlier try may have paid for this video, and it cannot be found out
├── SoraResponseError         the response cannot be parsed
├── SoraStatusError           the response has an error status
│   ├── SoraBadRequestError       400, 413, 415, 422 and similar: the request is invalid
│   ├── SoraAuthError             401, 403
│   ├── SoraNotFoundError         404, 410
│   ├── SoraUnsupportedError      405, 501: the server does not offer this call
│   ├── SoraConflictError         409: the state of the video does not allow this call now
│   ├── SoraRateLimitError        429, with the seconds to wait if the server stated them
│   └── SoraServerError           5xx
├── SoraVideoFailedError      the job ended without a video
│   ├── SoraVideoRejectedError    ... because of the request: moderation, an invalid value
│   └── SoraVideoGoneError        ... because the server no longer has it, for example after a restart
├── SoraWaitError             waiting ended before the job did; the job was left running on the server
│   └── SoraWaitTimeoutError      ... because the deadline passed
├── SoraContentError          the downloaded bytes are not the requested video
│   ├── SoraVariantError          ... because the server does not have this variant
│   ├── SoraContentNotReadyError  ... because the job has not ended
│   └── SoraContentExpiredError   ... because the server no longer keeps it
├── SoraTargetExistsError     the destination exists already; nothing was written
└── SoraTransferError         some files of several were not moved; the others were

`retryable` states whether the same call can succeed later. Nothing here depends on Airflow: operators turn an error
that is not retryable into `AirflowFailException`. Every message is masked and bounded here.
"""

from __future__ import annotations

from airflow_provider_sora.masking import for_message


class SoraError(Exception):
    """Base of all errors of this package."""

    retryable = False

    def __init__(self, *args: object) -> None:
        super().__init__(*(for_message(arg) if isinstance(arg, str) else arg for arg in args))


class SoraConfigError(SoraError, ValueError):
    """The connection or an argument is wrong; raised before anything is sent."""


class SoraConnectionError(SoraError):
    """There was no response from the server."""

    retryable = True


class SoraAmbiguousError(SoraConnectionError):
    """A paid request got no response: the server may or may not have accepted it."""


class SoraUndecidedError(SoraError):
    """An earlier try may have submitted this video, which cannot be found out; nothing was submitted."""


class SoraResponseError(SoraError):
    """The response cannot be parsed as a response to the request."""

    retryable = True


class SoraStatusError(SoraError):
    """The response has an error status.

    :param call: method and path, for example ``GET /videos/video_1``
    :param status_code: the HTTP status
    :param detail: the server's message, shortened
    :param code: the server's machine-readable error code, if any
    :param retry_after_seconds: how long the server asked to wait, if it did
    :param from_api: the body is an error of the API, not the page of a gateway in front of it
    """

    def __init__(
        self,
        call: str,
        status_code: int,
        detail: str,
        *,
        code: str | None = None,
        retry_after_seconds: float | None = None,
        from_api: bool = True,
    ) -> None:
        coded = f" [{code}]" if code else ""
        wait = "" if retry_after_seconds is None else f" (asked to wait {retry_after_seconds:g} s)"
        super().__init__(f"{call} answered HTTP {status_code}{coded}: {detail or 'no explanation'}{wait}")
        self.call = for_message(call)
        self.status_code = status_code
        self.detail = for_message(detail)
        self.code = code and for_message(code)
        self.retry_after_seconds = retry_after_seconds
        self.from_api = from_api


class SoraBadRequestError(SoraStatusError):
    """The server rejects this request and always will."""


class SoraAuthError(SoraStatusError):
    """The server does not accept the key."""


class SoraNotFoundError(SoraStatusError):
    """The server has no such video, or no such path."""


class SoraUnsupportedError(SoraStatusError):
    """The server does not offer this call."""


class SoraConflictError(SoraStatusError):
    """The video is in a state that does not allow this call now."""

    retryable = True


class SoraRateLimitError(SoraStatusError):
    """Too many requests, or a quota is exhausted."""

    retryable = True


class SoraServerError(SoraStatusError):
    """The server failed."""

    retryable = True


class SoraVideoFailedError(SoraError):
    """The job ended without a video.

    :param video_id: the job
    :param code: the server's error code
    :param message: the server's explanation
    :param status: ``failed``, ``cancelled``, ``expired`` or ``deleted``; ``gone`` if the server no longer has the job
    """

    retryable = True

    def __init__(self, video_id: str, code: str, message: str, *, status: str = "failed") -> None:
        super().__init__(f"video {video_id} {status} on the server [{code}]: {message or 'no explanation'}")
        self.video_id = video_id
        self.code = for_message(code)
        self.message = for_message(message)
        self.status = for_message(status)


class SoraVideoRejectedError(SoraVideoFailedError):
    """The request was rejected (moderation, an invalid value), and would be rejected again."""

    retryable = False


class SoraVideoGoneError(SoraVideoFailedError):
    """The server states that it no longer has the job, so that nothing is left running; a new job can succeed.

    vLLM-Omni, SGLang and Aquiles-Image keep their jobs in memory and lose them in a restart.

    :param last_status: the last status of the job that was seen
    """

    def __init__(self, video_id: str, *, last_status: str) -> None:
        message = f"the server no longer has this job (last seen {last_status}), so nothing is left running"
        super().__init__(video_id, "not_found", message, status="gone")
        self.last_status = last_status


class SoraWaitError(SoraError):
    """Waiting ended before the job did; the job was left running on the server.

    :param video_id: the job
    :param cause: why waiting ended, as a clause
    :param last_status: the last status of the job that was seen
    """

    retryable = True

    def __init__(self, video_id: str, cause: str, *, last_status: str, retryable: bool = True) -> None:
        super().__init__(
            f"stopped waiting for video {video_id} (last seen {last_status}), left running on the server: {cause}"
        )
        self.video_id = video_id
        self.cause = for_message(cause)
        self.last_status = for_message(last_status)
        self.retryable = retryable


class SoraWaitTimeoutError(SoraWaitError):
    """The deadline passed while the job was still running."""


class SoraContentError(SoraError):
    """The downloaded bytes are incomplete, or not a video."""

    retryable = True


class SoraVariantError(SoraContentError):
    """The file is not the requested variant: most servers have only the video itself."""

    retryable = False


class SoraContentNotReadyError(SoraContentError):
    """The job has not ended, so there is nothing to download yet."""


class SoraContentExpiredError(SoraContentError):
    """The server no longer keeps the content of this video."""

    retryable = False


class SoraTargetExistsError(SoraError):
    """The destination exists and must not be replaced; nothing was written."""


class SoraTransferError(SoraError):
    """Some of several files were not moved; the others were.

    :param failures: the name and the error of each file that was not moved
    :param moved: how many files were moved
    """

    def __init__(self, failures: list[tuple[str, Exception]], moved: int) -> None:
        lines = "; ".join(f"{name}: {type(error).__name__}: {error}" for name, error in failures)
        super().__init__(f"{len(failures)} of {len(failures) + moved} files were not moved: {lines}")
        self.failures = failures
        self.moved = moved
        self.retryable = any(getattr(error, "retryable", True) for _, error in failures)
