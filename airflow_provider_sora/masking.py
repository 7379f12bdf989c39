"""Keeps keys and signatures out of everything that leaves this package: errors, events, XCom values and log lines.

Masked are the key, the headers and the query parameters of every connection that this process has read, in each form in
which a message may contain them; users and passwords in URLs; and the values of query parameters, which may sign.
"""

from __future__ import annotations

import html
import json
import logging
import re
import threading
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar
from urllib.parse import quote, quote_plus

ErrorT = TypeVar("ErrorT", bound=BaseException)

MASK = "***"

# Shorter ones are parts of ordinary words. Airflow's own masker has the same limit for passwords.
MIN_KEY_CHARACTERS = 5
MIN_VALUE_CHARACTERS = 8
_MAX_FORMS = 4096
_MAX_MESSAGE_CHARACTERS = 8000
_MAX_CHARACTERS = 64 * 1024  # of a text that is quoted in a message

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,30})://(?P<rest>[^\s\"'<>]+)")
_HOST = re.compile(r"(?:[\w.-]+|\[[0-9a-fA-F:.]+\])(?::[0-9]*)?(?:/|\Z)")
# Headers and query parameters that are not secret: the form and the destination of a request.
_PUBLIC_NAMES = frozenset(
    {"accept", "accept-language", "api-version", "content-type", "custom-llm-provider", "custom_llm_provider", "model"}
    | {"provider", "user-agent"}
)
_PUBLIC_PARAMETERS = frozenset({"limit", "order", "after", "variant"})
_PARAMETER = re.compile(r"(?P<name>[^&;=?#]*)(?P<mark>=?)(?P<value>[^&;#]*)(?P<end>[&;#]|\Z)")
# Names of query parameters that sign or authorise, anywhere in a text: AWS, Google, Azure, CloudFront, OAuth.
_SIGNED = re.compile(
    r"\b(?P<name>X-(?:Amz|Goog|OSS|COS)-[A-Za-z-]{1,40}|sig|signature|(?:access_?|auth_?|id_?|security_?)?token|api[-_]?key|"
    r"key-pair-id|policy|awsaccesskeyid|googleaccessid|password|secret)=(?P<value>[^&\s\"'<>]+)",
    re.IGNORECASE,
)

_forms: dict[str, None] = {}
_known: re.Pattern[str] | None = None
_lock = threading.Lock()


def remember(key: str | None, named: Iterable[tuple[str, str]] = ()) -> None:
    """Mask a connection's key, and the values of its headers and query parameters, from now on.

    :param named: names and values; the parts of a value between spaces, ``=``, ``,`` and ``;`` are masked, too, since a
        server may repeat the token of a header without its scheme
    """
    secrets = {part for part in [(key or "").strip()] if len(part) >= MIN_KEY_CHARACTERS}
    for name, value in named:
        if name.lower() not in _PUBLIC_NAMES:
            parts = {value.strip(), *re.split(r"[\s=,;]+", value)}
            secrets |= {part for part in parts if len(part) >= MIN_VALUE_CHARACTERS}
    _add({form for secret in secrets for form in _forms_of(secret)})


def _forms_of(secret: str) -> set[str]:
    """The forms of a secret in messages: plain, in a URL, in JSON, in a `repr`, in HTML."""
    return {
        secret,
        " ".join(secret.split()),
        repr(f"'{secret}\"")[3:-2],
        quote(secret, safe="", errors="replace"),
        quote_plus(secret, errors="replace"),
        json.dumps(secret)[1:-1],
        json.dumps(json.dumps(secret)[1:-1])[1:-1],
        repr(secret)[1:-1],
        html.escape(secret),
    }


def _add(forms: set[str]) -> None:
    global _known
    with _lock:
        are_new = not forms <= _forms.keys()
        for form in forms:  # to the end: the oldest are dropped first
            _forms.pop(form, None)
            _forms[form] = None
        if not are_new:
            return
        for oldest in list(_forms)[:-_MAX_FORMS]:
            del _forms[oldest]
        _known = re.compile("|".join(re.escape(form) for form in sorted(_forms, key=len, reverse=True)))


def masked(text: str) -> str:
    """A text without known secrets, and without users, passwords and query values of URLs."""
    if _known is not None:
        text = _known.sub(MASK, text)
    if "://" in text:
        text = _URL.sub(_mask_url, text)
    return _SIGNED.sub(lambda found: f"{found['name']}={MASK}", text) if "=" in text else text


def masked_start(text: str) -> str:
    """The masked start of a longer text, which may end in the middle of a secret."""
    text = masked(text)
    lengths = (n for form in tuple(_forms) for n in range(min(len(form), len(text)), 3, -1) if text.endswith(form[:n]))
    longest = max(lengths, default=0)
    return f"{text[: len(text) - longest]}{MASK}" if longest else text


def for_message(text: str) -> str:
    """A text for an error: masked, and short enough for an event, a log line and a database."""
    text = masked(text[:_MAX_CHARACTERS])
    return text if len(text) <= _MAX_MESSAGE_CHARACTERS else f"{text[:_MAX_MESSAGE_CHARACTERS]}…"


def _mask_url(found: re.Match[str]) -> str:
    scheme, rest = found["scheme"], found["rest"]
    head, mark, query = re.fullmatch(r"([^?#]*)([?#]?)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
    shown = bare_url(f"{scheme}://{rest}") if _has_user(scheme, rest) else f"{scheme}://{head}"
    return f"{shown}{mark}{_mask_query(query)}"


def _has_user(scheme: str, rest: str) -> bool:
    """Whether a URL has a user; ``s3://connection@bucket`` has the name of a connection instead."""
    return "@" in rest and (scheme.lower().startswith("http") or re.match("[^/?#@]*:", rest) is not None)


def _mask_query(query: str) -> str:
    return _PARAMETER.sub(_mask_parameter, query)


def _mask_parameter(found: re.Match[str]) -> str:
    if not found["mark"]:
        return f"{MASK if found['name'] else ''}{found['end']}"
    shown = found["value"] if found["name"] in _PUBLIC_PARAMETERS else MASK
    return f"{found['name']}={shown}{found['end']}"


def bare_url(url: object) -> str:
    """A URL, valid or not, without user, password, query and fragment."""
    text = str(url)
    scheme, mark, rest = text.partition("://") if "://" in text else ("", "", text)
    head = re.split("[?#]", rest, maxsplit=1)[0]
    if _HOST.match(head):
        return f"{scheme}{mark}{head}"
    if "@" in rest and "@" not in head:
        head = MASK  # a password with a question mark in it
    return f"{scheme}{mark}{head.rpartition('@')[2]}"


def quoted(value: object, limit: int = 100) -> str:
    """A user's or a server's value for a message: masked before it is cut, as a cut secret would not be recognized."""
    try:
        text = value if isinstance(value, str) else repr(value)
    except Exception:  # noqa: BLE001 - the `repr` of any object may fail
        text = f"<{type(value).__name__}>"
    text = masked(text[:_MAX_CHARACTERS])
    text = text if len(text) <= limit else f"{text[:limit]}…"
    return repr(text) if isinstance(value, str) else text


def mask_chain(error: ErrorT) -> ErrorT:
    """The same error, with its message and those of its causes masked: tracebacks show them, too."""
    seen: set[int] = set()
    left: list[BaseException | None] = [error]
    while left:
        link = left.pop()
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            link.args = tuple(masked(arg) if isinstance(arg, str) else arg for arg in link.args)
            left += [link.__cause__, link.__context__]
    return error


def traceback_of(error: BaseException) -> str:
    """The masked traceback of an error, for a log."""
    return masked("".join(traceback.format_exception(error)))


_exchanging: ContextVar[bool] = ContextVar("sora_exchanging", default=False)


@contextmanager
def masked_logs() -> Iterator[None]:
    """Mask what httpx and httpcore log in this context, URLs and headers, without affecting other code."""
    token = _exchanging.set(True)
    try:
        yield
    finally:
        _exchanging.reset(token)


class _MaskingFilter(logging.Filter):
    """Masks the message and the traceback of a record."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if record.exc_info and record.exc_info[1]:
            message = f"{message}\n{traceback_of(record.exc_info[1])}"
        record.msg, record.args, record.exc_info = masked(message), (), None
        return True


class _OurExchangesFilter(_MaskingFilter):
    def filter(self, record: logging.LogRecord) -> bool:
        return super().filter(record) if _exchanging.get() else True


_OURS, _THEIRS = _MaskingFilter(), _OurExchangesFilter()
# A filter is applied to records of its own logger only, not to those of child loggers.
_LOGGERS = ("httpx", *(f"httpcore.{name}" for name in ("connection", "http11", "http2", "proxy", "socks")))


def logger(name: str) -> logging.Logger:
    """A logger of this package, whose records are masked."""
    found = logging.getLogger(name)
    found.addFilter(_OURS)
    return found


def install() -> None:
    """Make `masked_logs` apply to what httpx and httpcore log."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_THEIRS)
