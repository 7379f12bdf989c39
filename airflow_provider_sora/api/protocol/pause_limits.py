"""How long a pause may be, whatever a server asks for: the one place that bounds it.

Servers and gateways have been seen to send times for spans (unix milliseconds in `Retry-After`), years, and one
millisecond in ``openai-poll-after-ms``. A pause that no date holds makes Airflow's scheduler fail over and over.
"""

from __future__ import annotations

import math

MIN_POLL_SECONDS = 1.0  # between two polls of one job, unless the user's own interval is shorter
MAX_POLL_SECONDS = 3600.0  # between two polls of one job, and the longest time that a 429 stops a connection's waits
MAX_RETRY_SECONDS = 86_400.0  # until Airflow's next try


def bounded(seconds: float, least: float, most: float) -> float:
    """`seconds` within the two bounds; what is no number counts as the least."""
    return least if math.isnan(seconds) else min(most, max(least, seconds))


def poll_pause(seconds: float, interval: float = MIN_POLL_SECONDS) -> float:
    """The pause between two polls of one job.

    :param interval: the user's own, which may be shorter than a second
    """
    return bounded(seconds, min(MIN_POLL_SECONDS, interval), MAX_POLL_SECONDS)


def retry_pause(seconds: float) -> float:
    """The pause until Airflow's next try."""
    return bounded(seconds, 0.0, MAX_RETRY_SECONDS)
