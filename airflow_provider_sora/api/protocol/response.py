"""What a server answered to a request, and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_provider_sora.api.protocol import pause_limits
from airflow_provider_sora.api.protocol.encoding import Sent


@dataclass(frozen=True)
class Response:
    """What came back, and when. After `Sleep`, `Now` and `Emit` only the times are set.

    :param at: unix seconds, for what is compared with a server's times
    :param monotonic: seconds on a clock that nobody sets, for everything that is waited for
    :param sent_as: how the request's body was encoded, where the connection leaves that to the server
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
        """When the server suggests to poll again, within bounds; the official client reads the same header."""
        value = self.headers.get("openai-poll-after-ms", "")
        is_set = value.isdigit() and value.isascii() and value.strip("0")
        return pause_limits.poll_pause(float(value) / 1000) if is_set else None
