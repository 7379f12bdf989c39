"""JSON or a form: which of the two a server accepts, learned from its first error.

Servers differ (vLLM-Omni accepts forms only, gateways may accept JSON only). A request whose body the server could not
parse has started no job: it is sent once more in the other encoding, and this process remembers which one worked.
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

# The statuses for a body that cannot be parsed. A request is sent again only after these, with which a server has not
# accepted it (`acceptance`; a test compares the two).
UNREADABLE = frozenset({400, 415, 422})

# Messages that the prompt is missing, although every request has one. FastAPI: "body.prompt: Field required", which
# vLLM-Omni 0.30 puts into one message with status 400; OpenAI and SGLang: "Missing required parameter: 'prompt'",
# "prompt is required".
_NO_PROMPT = re.compile(
    r"missing (?:required )?(?:parameter|field|argument)s?:? ['\"]?prompt\b"
    r"|\bprompt\b['\"]?[^a-z0-9]{0,3}(?:,? ?'?msg'?: ?'?|is |: ?)?(?:field required|required|missing|not provided)",
)
_REQUIRES: dict[Sent, re.Pattern[str]] = {
    "json": re.compile(r"multipart|form-?data"),
    # FastAPI: "Input should be a valid dictionary", "JSON decode error"; Go's decoder fails at the form's first dash.
    "multipart": re.compile(
        r"application/json|json decode|invalid json|valid json|valid dictionary|invalid character '-'"
    ),
}

_NAMES: dict[Sent, str] = {"json": "JSON", "multipart": "a form"}
_learned: dict[tuple[str, str], Sent] = {}


def learned(request: Request[Any], base_url: str) -> Encoding:
    """The encoding that a server is known to accept for this call, if the request fits into it."""
    known: Encoding = _learned.get((str(httpx.URL(base_url)), type(request).__name__), "auto")
    return "auto" if known == "json" and not fits_json(request) else known


def send(request: Request[Any], limit_seconds: float | None = None) -> Flow[Response]:
    """Send a request, and once more in the other encoding if the server could not parse the first.

    :param limit_seconds: total time limit of each
    """
    response = yield Send(request, limit_seconds)
    other = other_encoding(request, response)
    if other is None:
        return response
    server = response.url.rpartition(request.path())[0]
    log.info(
        "%s could not parse %s as %s (HTTP %s), so no job was started; sending it again as %s",
        *(server, request, _NAMES[response.sent_as or "json"], response.status_code, _NAMES[other]),
    )
    second = yield Send(request, limit_seconds, other)
    if other_encoding(request, second) is not None:
        return response
    _learned[server, type(request).__name__] = other
    return second


def other_encoding(request: Request[Any], response: Response) -> Sent | None:
    """The encoding to try instead, after an error which shows that the server could not parse the body."""
    if response.sent_as is None or request.always_form or not _is_unreadable(request, response):
        return None
    if response.sent_as == "json":
        return "multipart"
    return "json" if fits_json(request) else None


def _is_unreadable(request: Request[Any], response: Response) -> bool:
    if response.status_code not in UNREADABLE or response.sent_as is None:
        return False
    # An error may repeat the user's values: if these match the patterns themselves, the error proves nothing.
    sent = " ".join(value for value in request.fields().values() if isinstance(value, str))
    message = read_error(response.body)[1]
    return response.status_code == 415 or (_matches(message, response.sent_as) and not _matches(sent, response.sent_as))


def _matches(text: str, sent_as: Sent) -> bool:
    text = text.lower()
    return bool(_NO_PROMPT.search(text) or _REQUIRES[sent_as].search(text))
