"""How often a server may be asked, for all that ask it: pure, clockless."""

from __future__ import annotations

from airflow_provider_sora.api.protocol import pause_limits

MAX_BLOCK_SECONDS = 300.0
_FIRST_BLOCK_SECONDS = 1.0


class RateLimit:
    """Says when a request may be sent: evenly where a limit is set, none while the server throttles.

    :param requests_per_minute: the limit; None: as fast as the server lets
    """

    def __init__(self, requests_per_minute: float | None = None) -> None:
        self._next = 0.0
        self._block = 0.0
        self.blocked_until = 0.0
        self.pace(requests_per_minute)

    def pace(self, requests_per_minute: float | None) -> None:
        """Set the limit from now on."""
        self._gap = 60.0 / requests_per_minute if requests_per_minute else 0.0

    def blocks(self, now: float) -> bool:
        """Whether the server throttles."""
        return now < self.blocked_until

    def reserve(self, now: float) -> float:
        """The pause until the next request may be sent, which is taken as sent then."""
        at = max(now, self._next, self.blocked_until)
        self._next = at + self._gap
        return at - now

    def refused(self, now: float, retry_after: float | None) -> None:
        """Record that the server throttled a request, and the pause that it asked for, if it did."""
        if not self.blocks(now):  # refusals of requests that were on their way together count once
            self._block = min(MAX_BLOCK_SECONDS, max(_FIRST_BLOCK_SECONDS, 2 * self._block))
        pause = self._block if retry_after is None else pause_limits.poll_pause(retry_after)
        self.blocked_until = max(self.blocked_until, now + pause)

    def answered(self) -> None:
        """Record that the server answered."""
        self._block = 0.0
