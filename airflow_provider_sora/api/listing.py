"""Whether reading the list pays: what a connection's list was good for, and what it is expected to cost."""

from __future__ import annotations

from math import ceil

FORGET_SECONDS = 600.0
PAGE_LENGTH = 100  # the most that the API hands out
_SLACK_PAGES = 3
_SECONDS_EACH = 0.1  # where they are asked for one by one


class ListUse:
    """What has been learned about one server's list; a bad experience is forgotten after ten minutes."""

    def __init__(self) -> None:
        self._avoid_until = 0.0
        self._page_length = PAGE_LENGTH

    def pages(self, depth: int) -> int:
        """How many pages it takes to reach the video at this place of the list, from 0."""
        return ceil((depth + 1) / self._page_length)

    def pays(self, due: int, depth: int, now: float) -> bool:
        """Whether the list is the cheaper way to look at so many jobs, the last of which is expected at `depth`."""
        return now >= self._avoid_until and self.pages(depth) < due

    def least_pause(self, waits: int, now: float) -> float:
        """How long to leave all jobs alone between two looks, so that looking costs about a request a second."""
        return float(self.pages(waits)) if now >= self._avoid_until else waits * _SECONDS_EACH

    def most_pages(self, depth: int) -> int:
        """After how many pages reading has to end, whatever the server says of more."""
        return 2 * self.pages(depth) + _SLACK_PAGES

    def saw_page(self, length: int, *, has_more: bool) -> None:
        """Take how long a page was: a server may hand out fewer than asked for."""
        if has_more and length:
            self._page_length = max(1, min(PAGE_LENGTH, length))

    def ended(self, *, wanted: int, met: int, now: float) -> None:
        """Take how many of the jobs that were looked for were on the list."""
        if met * 2 < wanted:
            self.failed(now)

    def failed(self, now: float) -> None:
        """Take that the list was refused, or took too long."""
        self._avoid_until = now + FORGET_SECONDS
