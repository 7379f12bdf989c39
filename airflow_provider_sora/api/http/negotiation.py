"""JSON or a form: which of the two a server reads, learned from its first refusal.

Servers differ (vLLM-Omni reads forms only, gateways may read JSON only), and a request whose body the server could not
read has made no job: it is sent once more in the other encoding, and what worked is remembered for this process.
"""

from __future__ import annotations

import re
from typing import Any

import httpx

from airflow_provider_sora import masking
from airflow_provider_sora.api.http.steps import Flow, Send
from airflow_provider_sora.api.protocol.encoding import Encoding, Sent, fits_json
from airflow_provider_sora.api.protocol.error_mapping import read_error
from airflow_provider_sora.api.protocol.requests import Request
from airflow_provider_sora.api.protocol.response import Response

log = masking.logger(__name__)

# The statuses of a body that was not accepted. Only after these is anything sent again: nothing can have been paid.
_UNREADABLE = frozenset({400, 415, 422})

# Said of the prompt although every request has one. FastAPI: "body.prompt: Field required", which vLLM-Omni 0.30 puts
# into one text with status 400; OpenAI and SGLang: "Missing required parameter: 'prompt'", "prompt is required".
_NO_PROMPT = re.compile(
    r"missing (?:required )?(?:parameter|field|argument)s?:? ['\"]?prompt\b"
    r"|\bprompt\b['\"]?[^a-z0-9]{0,3}(?:,? ?'?msg'?: ?'?|is |: ?)?(?:field required|required|missing|not provided)",
)
_WANTS: dict[Sent, re.Pattern[str]] = {
    "json": re.compile(r"multipart|form-?data"),
    # FastAPI: "Input should be a valid dictionary", "JSON decode error"; Go's decoder meets the form's first dash.
    "multipart": re.compile(
        r"application/json|json decode|invalid json|valid json|valid dictionary|invalid character '-'"
    ),
}

_NAMES: dict[Sent, str] = {"json": "JSON", "multipart": "a form"}
_learned: dict[tuple[str, str], Sent] = {}


def learned(request: Request[Any], base_url: str) -> Encoding:
    """The encoding that a server is known to read for this call, where the request can be put into it."""
    known: Encoding = _learned.get((str(httpx.URL(base_url)), type(request).__name__), "auto")
    return "auto" if known == "json" and not fits_json(request) else known


def send(request: Request[Any], limit_seconds: float | None = None) -> Flow[Response]:
    """Send a request, and once more in the other encoding where the server could not read the first.

    :param limit_seconds: how long each may take altogether
    """
    response = yield Send(request, limit_seconds)
    other = other_encoding(request, response)
    if other is None:
        return response
    server = response.url.rpartition(request.path())[0]
    log.info(
        "%s could not read %s as %s (HTTP %s), which made no job; sending it as %s",
        *(server, request, _NAMES[response.sent_as or "json"], response.status_code, _NAMES[other]),
    )
    second = yield Send(request, limit_seconds, other)
    if other_encoding(request, second) is not None:
        return response
    _learned[server, type(request).__name__] = other
    return second


def other_encoding(request: Request[Any], response: Response) -> Sent | None:
    """The encoding to try instead, after a refusal that shows that the server could not read the body."""
    if response.sent_as is None or request.always_form or not _is_unreadable(request, response):
        return None
    if response.sent_as == "json":
        return "multipart"
    return "json" if fits_json(request) else None


def _is_unreadable(request: Request[Any], response: Response) -> bool:
    if response.status_code not in _UNREADABLE or response.sent_as is None:
        return False
    # Where the user's own words would pass for the server's, a refusal that repeats them proves nothing.
    own = " ".join(value for value in request.fields().values() if isinstance(value, str))
    said = read_error(response.body)[1]
    return response.status_code == 415 or (_says_so(said, response.sent_as) and not _says_so(own, response.sent_as))


def _says_so(words: str, sent_as: Sent) -> bool:
    words = words.lower()
    return bool(_NO_PROMPT.search(words) or _WANTS[sent_as].search(words))
