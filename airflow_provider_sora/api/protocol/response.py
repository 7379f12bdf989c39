"""A server's response."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_provider_sora.api.protocol import pause_limits
from airflow_provider_sora.api.protocol.encoding import Sent


@dataclass(frozen=True)
class Response:
    """A response and its time. After `Sleep`, `Now` and `Emit` only the times are set.

    :param at: unix seconds, to compare with a server's times
    :param monotonic: seconds on the monotonic clock, to measure durations
    :param sent_as: how the request's body was encoded, where the connection's encoding is ``auto``
    """

    at: float
    status_code: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    url: str = ""
    monotonic: float = 0.0
    sent_as: Sent | None = None

    @property
    def hint_seconds(self) -> float | None:
        """The pause that the server suggests, within bounds, by a header that the official client uses, too."""
        value = self.headers.get("openai-poll-after-ms", "")
        is_set = value.isdigit() and value.isascii() and value.strip("0")
        return pause_limits.poll_pause(float(value) / 1000) if is_set else None
