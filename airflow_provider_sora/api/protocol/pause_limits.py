"""The bounds of every pause that a server asks for.

Servers and gateways send times instead of durations (unix milliseconds in `Retry-After`), years, and one millisecond
in ``openai-poll-after-ms``. A pause that ends after the last possible date makes Airflow's scheduler fail repeatedly.
"""

from __future__ import annotations

import math

MIN_POLL_SECONDS = 1.0  # between two polls of one job, unless the user's own interval is shorter
MAX_POLL_SECONDS = 3600.0  # between two polls of one job; also the longest pause of a connection after a 429
MAX_RETRY_SECONDS = 86_400.0  # until Airflow's next try


def bounded(seconds: float, minimum: float, maximum: float) -> float:
    """`seconds` within the two bounds; NaN counts as the minimum."""
    return minimum if math.isnan(seconds) else min(maximum, max(minimum, seconds))


def poll_pause(seconds: float, interval: float = MIN_POLL_SECONDS) -> float:
    """The pause between two polls of one job.

    :param interval: the user's own, which may be shorter than a second
    """
    return bounded(seconds, min(MIN_POLL_SECONDS, interval), MAX_POLL_SECONDS)


def retry_pause(seconds: float) -> float:
    """The pause until Airflow's next try."""
    return bounded(seconds, 0.0, MAX_RETRY_SECONDS)
