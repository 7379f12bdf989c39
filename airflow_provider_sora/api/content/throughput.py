"""Measures how fast content comes, and rejects content that is too slow."""

from __future__ import annotations

from airflow_provider_sora.api.http.config import LowSpeed
from airflow_provider_sora.exceptions import SoraConnectionError, SoraContentError


class ThroughputMeter:
    """Measures throughput over the time spent waiting for the server; the time of the bytes' consumer does not count.

    :param attempts: how often content may be too slow before it fails for good
    """

    def __init__(self, limit: LowSpeed, attempts: int) -> None:
        self._limit = limit
        self._left = attempts
        self._at = self._waited = 0.0
        self._bytes = 0

    def start(self, at: float) -> None:
        """Start to wait for a body, at a time of the monotonic clock."""
        self._waited = self._bytes = 0
        self._at = at

    def resume(self, at: float) -> None:
        """Start to wait for the next bytes."""
        self._at = at

    def add(self, at: float, count: int) -> None:
        """Record that this many bytes have come.

        :raises SoraConnectionError: the content is too slow
        :raises SoraContentError: it was too slow too often
        """
        self._waited += at - self._at
        self._at = at
        self._bytes += count
        if self._waited < self._limit.seconds:
            return
        waited, received = self._waited, self._bytes
        self.start(at)
        if count and received < self._limit.bytes_per_second * waited:
            raise self._too_slow(f"{received} bytes came in {waited:.0f} s")

    def _too_slow(self, measured: str) -> SoraConnectionError | SoraContentError:
        limit = f"low_speed_limit of the connection is {self._limit.bytes_per_second:g} bytes per second"
        self._left -= 1
        if self._left > 0:
            return SoraConnectionError(f"content is too slow: {measured}; {limit}")
        return SoraContentError(f"content was repeatedly too slow: {measured}; {limit}")
