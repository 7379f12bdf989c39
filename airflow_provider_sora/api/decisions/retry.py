"""When one request is sent again: decided from the error alone."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_sora.api.decisions.acceptance import is_safe_to_resend
from airflow_provider_sora.exceptions import (
    SoraConnectionError,
    SoraError,
    SoraRateLimitError,
    SoraServerError,
    SoraStatusError,
)


@dataclass(frozen=True)
class RequestRetryPolicy:
    """How one call is tried again.

    :param attempts: how often it is sent at most
    :param base_seconds: the first pause; each further one doubles
    :param max_seconds: the longest pause; a server that asks for more gets its error passed on, so no worker is held
    """

    attempts: int = 5
    base_seconds: float = 0.5
    max_seconds: float = 30.0

    def pause(self, attempt: int, jitter: float) -> float:
        """The pause after attempt number `attempt` (from 1); `jitter` is a random number in [0, 1)."""
        ceiling = min(self.max_seconds, self.base_seconds * 2.0 ** (attempt - 1))
        return ceiling * (0.5 + jitter / 2)


def retry_pause(
    policy: RequestRetryPolicy, error: SoraError, attempt: int, *, paid: bool, jitter: float
) -> float | None:
    """How many seconds to wait before sending again, or None to give up.

    A paid call is sent again only where the server cannot have accepted it (`acceptance`).
    """
    asked = error.retry_after_seconds if isinstance(error, SoraStatusError) else None
    if attempt >= policy.attempts or (asked or 0) > policy.max_seconds:
        return None
    if not (is_safe_to_resend(error) if paid else _is_transient(error)):
        return None
    pause = policy.pause(attempt, jitter)
    return pause if asked is None else max(pause, asked)


def _is_transient(error: SoraError) -> bool:
    return isinstance(error, SoraConnectionError | SoraRateLimitError | SoraServerError)
