"""How fast content comes, and when it is too slow to wait for."""

from __future__ import annotations

from airflow_provider_sora.api.http.config import LowSpeed
from airflow_provider_sora.exceptions import SoraConnectionError, SoraContentError


class ThroughputMeter:
    """Measures what comes in the time that is spent waiting for it: whoever takes the bytes may take their time.

    :param attempts: how often content may be too slow before it is not asked for again
    """

    def __init__(self, limit: LowSpeed, attempts: int) -> None:
        self._limit = limit
        self._left = attempts
        self._at = self._waited = 0.0
        self._bytes = 0

    def begin(self, at: float) -> None:
        """Begin to wait for a body, at a time of a monotonic clock."""
        self._waited = self._bytes = 0
        self._at = at

    def resume(self, at: float) -> None:
        """Begin to wait for the next bytes."""
        self._at = at

    def add(self, at: float, count: int) -> None:
        """Take that so many bytes have come.

        :raises SoraConnectionError: too few in too long a time
        :raises SoraContentError: that has happened too often
        """
        self._waited += at - self._at
        self._at = at
        self._bytes += count
        if self._waited < self._limit.seconds:
            return
        waited, came = self._waited, self._bytes
        self.begin(at)
        if count and came < self._limit.bytes_per_second * waited:
            raise self._too_slow(f"{came} bytes came in {waited:.0f} s")

    def _too_slow(self, what: str) -> SoraConnectionError | SoraContentError:
        least = f"low_speed_limit of the connection is {self._limit.bytes_per_second:g} bytes per second"
        self._left -= 1
        if self._left > 0:
            return SoraConnectionError(f"content is too slow: {what}; {least}")
        return SoraContentError(f"content is too slow, again and again: {what}; {least}")
