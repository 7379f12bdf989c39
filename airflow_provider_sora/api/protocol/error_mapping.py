"""Maps httpx errors and error responses of any form to the classes in `exceptions`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from airflow_provider_sora.api.protocol import gateway, pause_limits
from airflow_provider_sora.api.protocol.models import Video, VideoError, VideoStatus, parse_json, shorten
from airflow_provider_sora.api.protocol.requests import Request
from airflow_provider_sora.api.protocol.response import Response
from airflow_provider_sora.exceptions import (
    SoraAmbiguousError,
    SoraAuthError,
    SoraBadRequestError,
    SoraConflictError,
    SoraConnectionError,
    SoraNotFoundError,
    SoraRateLimitError,
    SoraServerError,
    SoraStatusError,
    SoraUnsupportedError,
    SoraVideoFailedError,
    SoraVideoRejectedError,
)
from airflow_provider_sora.masking import mask_chain

_BY_STATUS: dict[int, type[SoraStatusError]] = {
    401: SoraAuthError,
    403: SoraAuthError,
    404: SoraNotFoundError,
    405: SoraUnsupportedError,
    408: SoraServerError,
    409: SoraConflictError,
    410: SoraNotFoundError,
    425: SoraServerError,
    429: SoraRateLimitError,
    501: SoraUnsupportedError,
}

# Failures that never reached the server: sending again cannot pay twice.
_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)

# The messages of frameworks and gateways for a path that does not exist.
_NO_ROUTE = frozenset(
    {"", "not found", "404 not found", "404 page not found", "resource not found", "default backend - 404"}
)

# Codes of failed jobs that the same request would get again, whole or as parts of longer codes. LiteLLM's codes are
# the names of its exceptions (`BadRequestError`, `ContentPolicyViolationError`).
_REJECTED_CODES = (
    "moderation",
    "content_policy",
    "contentpolicy",
    "content_filter",
    "safety",
    "sentinel_block",
    "invalid",
    "unsupported_value",
    "badrequest",
    "bad_request",
    "unprocessable",
)

# The 4xx that are temporary: timeout, conflict, locked, too early, too many requests.
_TEMPORARY = frozenset({408, 409, 423, 425, 429})

# How messages state an HTTP status: "HTTP 400", "status code: 422", "Error code: 400 - {…}" (the official client's).
_STATED_STATUS = re.compile(r"\b(?:http|status|error)[ _]?(?:code|status)?[ :=]{1,2}(4\d\d)\b", re.IGNORECASE)


def connection_error(call: str, error: httpx.RequestError, *, paid: bool) -> SoraConnectionError:
    """The error for a missing response; ambiguous for a paid call that may have been sent."""
    message = f"{call} got no response: {type(error).__name__}: {mask_chain(error)}".rstrip(": ")
    if paid and not isinstance(error, _NOT_SENT):
        return SoraAmbiguousError(f"{message}; the server may have accepted it")
    return SoraConnectionError(message)


def status_error(request: Request[Any], response: Response) -> SoraStatusError:
    """The error for a response of status 300 and above."""
    code, detail = read_error(response.body)
    if response.status_code < 400:
        detail = (
            f"a redirect to {_location(response)}, which is not followed: correct the connection's Host if it is wrong"
        )
    # A gateway may redirect a request that it has passed on: the retry has to find out (`acceptance`).
    is_paid_redirect = request.paid and response.status_code < 400
    default = SoraServerError if response.status_code >= 500 or is_paid_redirect else SoraBadRequestError
    kind = SoraAuthError if gateway.refuses_key(detail) else _BY_STATUS.get(response.status_code, default)
    may_lack_route = kind is SoraNotFoundError and request.unsupported_hint and request.method != "DELETE"
    if may_lack_route and is_no_route(gateway.upstream_message(detail)):
        kind = SoraUnsupportedError
    if kind is SoraUnsupportedError:
        server = response.url.partition("/videos")[0]
        hint = request.unsupported_hint or "use another server"
        detail = f"{detail or 'no explanation'}. {server} does not offer this call: {hint}"
    wait = retry_after_seconds(response.headers, response.at)
    own = is_api_error(response.body)
    return kind(str(request), response.status_code, detail, code=code, retry_after_seconds=wait, from_api=own)


def is_api_error(body: bytes) -> bool:
    """Whether an error's body has a form of the API's servers: ``error``, ``detail`` (FastAPI), or vLLM's own object.

    Gateways send text, a page, nothing, or JSON of another form (Kong, AWS: ``message``; APISIX: ``error_msg``).
    """
    payload = parse_json(body)
    if not isinstance(payload, dict):
        return False
    return bool(payload.get("error") or payload.get("detail")) or payload.get("object") == "error"


def _location(response: Response) -> str:
    """Where a redirect leads, without the query, which may be signed."""
    return repr(response.headers.get("location", "nowhere").partition("?")[0][:200])


def is_no_route(detail: str) -> bool:
    """Whether a 404 is about the path: frameworks send no more than "Not Found", or a page."""
    message = detail.strip().lower().rstrip(".")
    return message in _NO_ROUTE or message.startswith(("<", "invalid url"))


def read_error(body: bytes) -> tuple[str | None, str]:
    """Code and message of an error body: an object, a text, a list of field errors, problem+json, HTML or nothing."""
    payload = parse_json(body)
    if not isinstance(payload, dict):
        return None, shorten(body)
    error = next((payload[key] for key in ("error", "detail", "title", "message") if payload.get(key)), None)
    if isinstance(error, dict):
        code = error.get("code") or error.get("type")
        return (str(code) if code else None), str(error.get("message") or error)
    if isinstance(error, list):
        return None, "; ".join(_field_error(item) for item in error)
    return None, str(error) if error else shorten(body)


def _field_error(item: Any) -> str:
    if not isinstance(item, dict):
        return str(item)
    loc = item.get("loc") or ()
    where = loc if isinstance(loc, str) else ".".join(str(part) for part in loc)
    return f"{where}: {item.get('msg', item)}" if where else str(item.get("msg", item))


def retry_after_seconds(headers: Mapping[str, str], now: float) -> float | None:
    """How long the server asks to wait, a day at most: ``retry-after-ms``, or ``Retry-After`` as seconds or as a date.

    :param now: unix seconds, for a response without ``Date``; the server's clock may differ from ours
    """
    milliseconds = headers.get("retry-after-ms", "")
    if _is_number(milliseconds):
        return pause_limits.retry_pause(float(milliseconds) / 1000)
    value = headers.get("retry-after", "")
    if _is_number(value):
        return pause_limits.retry_pause(float(value))
    date = date_seconds(value)
    if date is None:
        return None
    responded_at = date_seconds(headers.get("date", ""))
    return pause_limits.retry_pause(date - (now if responded_at is None else responded_at))


def date_seconds(value: str) -> float | None:
    """An HTTP date as unix seconds."""
    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit() and text.isascii()


def failed_video_error(video: Video) -> SoraVideoFailedError:
    """The error for a job that ended without a video."""
    code = video.error.code if video.error else video.status.value
    message = video.error.message if video.error else ""
    is_rejected = video.error is not None and video.status is VideoStatus.FAILED and _is_rejection(video.error)
    error_type = SoraVideoRejectedError if is_rejected else SoraVideoFailedError
    return error_type(video.id, code, message, status=video.status.value)


def _is_rejection(error: VideoError) -> bool:
    """Whether a job failed because of its request.

    vLLM-Omni's guardrail fails a job with HTTP 400 and the same 400 as the error's code; LiteLLM passes it on as text.
    """
    if any(code in error.code.lower() for code in _REJECTED_CODES):
        return True
    inner_code, _ = read_error(error.message.encode()) if error.message.startswith("{") else (None, "")
    stated = _STATED_STATUS.search(error.message)
    statuses = (error.http_status, error.code, inner_code, stated and stated[1])
    return any(_blames_the_request(status) for status in statuses)


def _blames_the_request(status: int | str | None) -> bool:
    text = str(status)
    return bool(re.fullmatch(r"4\d\d", text)) and int(text) not in _TEMPORARY
