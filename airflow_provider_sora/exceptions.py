"""Every error this package raises.

SoraError
├── SoraConfigError           the connection or an argument is wrong; nothing was sent
├── SoraConnectionError       no answer came: refused, timed out, broken off, TLS
│   └── SoraAmbiguousError    ... while sending something paid: the server may have accepted it
├── SoraUndecidedError        an earlier try may have paid for this video, and nothing tells whether it did
├── SoraResponseError           an answer came that cannot be read
├── SoraStatusError           the server answered with an error status
│   ├── SoraBadRequestError       400, 413, 415, 422 and the like: this request will never do
│   ├── SoraAuthError             401, 403
│   ├── SoraNotFoundError         404, 410
│   ├── SoraUnsupportedError      405, 501: this server has no such call
│   ├── SoraConflictError         409: not now, the video is in another state
│   ├── SoraRateLimitError        429, with the seconds to wait where the server said them
│   └── SoraServerError           5xx
├── SoraVideoFailedError      the job ended without a video
│   ├── SoraVideoRejectedError     ... because of what was asked: moderation, an invalid value
│   └── SoraVideoGoneError        ... because the server no longer has it, after a restart for example
├── SoraWaitError             waiting ended before the job did; the job was left running on the server
│   └── SoraWaitTimeoutError      ... because the deadline passed
├── SoraContentError          what was downloaded is not the video that was asked for
│   ├── SoraVariantError          ... because the server has no such variant
│   ├── SoraContentNotReadyError  ... because the job has not ended
│   └── SoraContentExpiredError   ... because the server no longer keeps it
├── SoraTargetExistsError     something else lies where a file was to go; nothing was written
└── SoraTransferError         some files of several were not moved; the others were

`retryable` says whether the same call, made later, can succeed. Nothing here knows Airflow: operators turn what is not
retryable into `AirflowFailException`. What an error says is masked here, and bounded, whoever
raises it.
"""

from __future__ import annotations

from airflow_provider_sora.masking import said


class SoraError(Exception):
    """Base of all errors of this package."""

    retryable = False

    def __init__(self, *args: object) -> None:
        super().__init__(*(said(arg) if isinstance(arg, str) else arg for arg in args))


class SoraConfigError(SoraError, ValueError):
    """The connection or an argument is wrong; raised before anything is sent."""


class SoraConnectionError(SoraError):
    """No answer came from the server."""

    retryable = True


class SoraAmbiguousError(SoraConnectionError):
    """A paid request got no answer: the server may or may not have accepted it."""


class SoraUndecidedError(SoraError):
    """An earlier try may have submitted this video, and nothing tells whether it did; nothing was submitted."""


class SoraResponseError(SoraError):
    """An answer came that cannot be read as what was asked for."""

    retryable = True


class SoraStatusError(SoraError):
    """The server answered with an error status.

    :param call: method and path, for example ``GET /videos/video_1``
    :param status_code: the HTTP status
    :param detail: the server's own words, shortened
    :param code: the server's machine-readable error code, where it gave one
    :param retry_after_seconds: how long the server asked to wait, where it said so
    :param from_api: the body is an error as the API words them, and not the page of a gateway in front of it
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
        self.call = said(call)
        self.status_code = status_code
        self.detail = said(detail)
        self.code = code and said(code)
        self.retry_after_seconds = retry_after_seconds
        self.from_api = from_api


class SoraBadRequestError(SoraStatusError):
    """The server refuses this request and always will."""


class SoraAuthError(SoraStatusError):
    """The server does not accept the key."""


class SoraNotFoundError(SoraStatusError):
    """The server does not know this video or this path."""


class SoraUnsupportedError(SoraStatusError):
    """The server does not offer this call."""


class SoraConflictError(SoraStatusError):
    """The video is in a state that does not allow this call now."""

    retryable = True


class SoraRateLimitError(SoraStatusError):
    """Too many requests, or a quota is used up."""

    retryable = True


class SoraServerError(SoraStatusError):
    """The server failed."""

    retryable = True


class SoraVideoFailedError(SoraError):
    """The job ended without a video.

    :param video_id: the job
    :param code: the server's error code
    :param message: the server's explanation
    :param status: ``failed``, ``cancelled``, ``expired`` or ``deleted``; ``gone`` where the server does not know it
    """

    retryable = True

    def __init__(self, video_id: str, code: str, message: str, *, status: str = "failed") -> None:
        super().__init__(f"video {video_id} {status} on the server [{code}]: {message or 'no explanation'}")
        self.video_id = video_id
        self.code = said(code)
        self.message = said(message)
        self.status = said(status)


class SoraVideoRejectedError(SoraVideoFailedError):
    """What was asked for was refused (moderation, an invalid value): the same request will be refused again."""

    retryable = False


class SoraVideoGoneError(SoraVideoFailedError):
    """The server answers and says that it no longer has the job, so nothing is left running; a new job can succeed.

    vLLM-Omni, SGLang and Aquiles-Image keep their jobs in memory and lose them in a restart.

    :param last_status: the job's status when it was last seen
    """

    def __init__(self, video_id: str, *, last_status: str) -> None:
        message = f"the server no longer has this job (last seen {last_status}), so nothing is left running"
        super().__init__(video_id, "not_found", message, status="gone")
        self.last_status = last_status


class SoraWaitError(SoraError):
    """Waiting ended before the job did; the job was left running on the server.

    :param video_id: the job
    :param cause: why waiting ended, a clause
    :param last_status: the job's status when it was last seen
    """

    retryable = True

    def __init__(self, video_id: str, cause: str, *, last_status: str, retryable: bool = True) -> None:
        super().__init__(
            f"stopped waiting for video {video_id} (last seen {last_status}), left running on the server: {cause}"
        )
        self.video_id = video_id
        self.cause = said(cause)
        self.last_status = said(last_status)
        self.retryable = retryable


class SoraWaitTimeoutError(SoraWaitError):
    """The deadline passed while the job was still running."""


class SoraContentError(SoraError):
    """What was downloaded is not the whole video, or not a video."""

    retryable = True


class SoraVariantError(SoraContentError):
    """Another file came than the variant that was asked for: most servers have the video alone."""

    retryable = False


class SoraContentNotReadyError(SoraContentError):
    """The job has not ended, so there is nothing to download yet."""


class SoraContentExpiredError(SoraContentError):
    """The server no longer keeps the content of this video."""

    retryable = False


class SoraTargetExistsError(SoraError):
    """Something lies where a file was to go, and is not to be replaced; nothing was written."""


class SoraTransferError(SoraError):
    """Some files of several were not moved; the others are where they belong.

    :param failures: for each file that was not moved its name and why
    :param moved: how many were
    """

    def __init__(self, failures: list[tuple[str, Exception]], moved: int) -> None:
        lines = "; ".join(f"{name}: {type(error).__name__}: {error}" for name, error in failures)
        super().__init__(f"{len(failures)} of {len(failures) + moved} files were not moved: {lines}")
        self.failures = failures
        self.moved = moved
        self.retryable = any(getattr(error, "retryable", True) for _, error in failures)
