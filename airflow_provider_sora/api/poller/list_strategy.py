"""Whether one reading of the list is cheaper than single requests: what a list was good for, and what it costs."""

from __future__ import annotations

from math import ceil

from airflow_provider_sora.api.http.pages import PAGE_LENGTH

FORGET_SECONDS = 600.0
BACKOFF_SECONDS = 5.0  # after the first reading that failed in passing
MAX_PAGES = 200  # of one reading, whether or not more are announced
CHECK_SECONDS = 30.0  # between two polls of a single job, to find out whether the list is right
STALE_SECONDS = 10.0  # how long the list may show a job as running that has ended
THROTTLED_SECONDS = 60.0
MAX_THROTTLES = 3  # in a row, before jobs are asked for one by one: the limit may be the list's own
_SLACK_PAGES = 3


class ListStrategy:
    """What has been learned about one server's list.

    A list that is wrong, slow or not there is avoided for ten minutes; one that fails in passing for a few seconds,
    which double with each reading that fails.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything: it was another server's list."""
        self._avoid_until = 0.0
        self._backoff = 0.0
        self._page_length = PAGE_LENGTH
        self._cost = 0  # pages that the last reading took
        self._reading = 0  # pages that the running one has taken
        self._throttles = 0
        self._check_at = 0.0
        self._ended: tuple[str, float] | None = None  # a job that is known to have ended, and since when

    def pages(self, depth: int) -> int:
        """How many pages it takes to reach the video at this place of the list, from 0."""
        return ceil((depth + 1) / self._page_length)

    def is_cheaper(self, due: int, depth: int, now: float) -> bool:
        """Whether the list is the cheaper way to poll so many jobs, the last of which is expected at `depth`."""
        return now >= self._avoid_until and self.pages(depth) < due

    def least_pause(self, waits: int, now: float) -> float:
        """The shortest pause between two polls of a job, so that polling all of them costs about a request a second."""
        if now < self._avoid_until:
            return float(waits)
        return float(min(waits, max(self.pages(waits), self._cost)))

    def most_pages(self, depth: int) -> int:
        """After how many pages reading has to end, whether or not more are announced."""
        return min(MAX_PAGES, 2 * self.pages(depth) + _SLACK_PAGES)

    def record_page(self, length: int, *, has_more: bool) -> None:
        """Record how long a page was: a server may hand out fewer than asked for, always or now and then."""
        self._throttles = 0
        self._reading += 1
        if has_more and length:
            self._page_length = min(PAGE_LENGTH, max(length, self._page_length // 2))

    def record_reading(self, *, wanted: int, met: int, now: float) -> None:
        """Record how many jobs the list was read for, and how many that are waited for it showed, these or others."""
        self._cost, self._reading = self._reading, 0
        self._backoff = 0.0
        if met * 2 < wanted:
            self.record_failure(now, may_pass=False)

    def record_failure(self, now: float, *, may_pass: bool) -> None:
        """Record that the list could not be read or is wrong.

        :param may_pass: whether the failure says nothing of the next reading
        """
        self._backoff = min(FORGET_SECONDS, max(BACKOFF_SECONDS, 2 * self._backoff)) if may_pass else FORGET_SECONDS
        self._avoid_until = now + self._backoff
        self._reading = 0

    def record_throttle(self, until: float) -> None:
        """Record that the server throttled the list, and when it takes requests again."""
        self._throttles += 1
        self._reading = 0
        if self._throttles >= MAX_THROTTLES:
            self._throttles = 0
            self._avoid_until = until + THROTTLED_SECONDS

    def is_check_due(self, now: float) -> bool:
        """Whether it is time to poll a job that the list has shown; the next time is counted from now."""
        if now < self._check_at:
            return False
        self._check_at = now + CHECK_SECONDS
        return True

    def record_ended(self, video_id: str, now: float) -> None:
        """Record that a job has ended, by its own status."""
        self._ended = (video_id, now)

    def is_stale(self, video_id: str, now: float) -> bool:
        """Whether the list is behind, if it shows this job as running."""
        return self._ended is not None and self._ended[0] == video_id and now > self._ended[1] + STALE_SECONDS
