"""Whether a server can have accepted a paid request that failed: classified in one place, because it decides money.

The client asks before it sends again, the submission before it submits again.
"""

from __future__ import annotations

import re
from enum import Enum

from airflow_provider_sora.exceptions import (
    SoraAmbiguousError,
    SoraConnectionError,
    SoraError,
    SoraRateLimitError,
    SoraResponseError,
    SoraServerError,
    SoraStatusError,
)


class Acceptance(Enum):
    """Whether the server accepted a request that failed: it did not, most likely did not, or perhaps did."""

    NO = "no"
    UNLIKELY = "unlikely"
    PERHAPS = "perhaps"


# A plain 503 for lack of a free slot, as servers word it. The list names its sources; any other 503 proves nothing.
_BUSY = re.compile(r"limit of \d+ concurrent tasks", re.IGNORECASE)  # Aquiles-Image 0.8.3, which makes no job then


def acceptance_of(error: SoraError) -> Acceptance:
    """Whether the server can have accepted the paid request that ended in this error.

    A 503 with ``Retry-After`` is a refusal by HTTP's own words (RFC 9110, 15.6.4), but a gateway may send it for a
    request that it has passed on.
    """
    if isinstance(error, SoraStatusError):
        return _by_status(error)
    ambiguous = isinstance(error, SoraAmbiguousError | SoraResponseError)
    return Acceptance.PERHAPS if ambiguous else Acceptance.NO


def _by_status(error: SoraStatusError) -> Acceptance:
    """By the status and not by the class: a gateway's words may make another error of a 5xx.

    LiteLLM answers 408 where its upstream was too slow (`litellm.exceptions.Timeout`): that may have accepted it.
    """
    is_refused = (400 <= error.status_code < 500 and error.status_code != 408) or error.status_code == 501
    if is_refused or is_busy(error):
        return Acceptance.NO
    return Acceptance.UNLIKELY if asks_to_wait(error) else Acceptance.PERHAPS


def asks_to_wait(error: SoraStatusError) -> bool:
    """Whether a response is 503 with ``Retry-After``."""
    return error.status_code == 503 and error.retry_after_seconds is not None


def is_busy(error: SoraError) -> bool:
    """Whether the server refused a request because it has no free slot, in words that are known to mean that."""
    return isinstance(error, SoraServerError) and error.status_code == 503 and bool(_BUSY.search(error.detail))


def is_safe_to_resend(error: SoraError) -> bool:
    """Whether a paid request that ended so may be sent again at once: it was not accepted, and a moment may help."""
    may_pass = isinstance(error, SoraConnectionError | SoraRateLimitError) or is_busy(error)
    return may_pass and acceptance_of(error) is Acceptance.NO
