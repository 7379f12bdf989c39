"""What goes wrong, when, and how often."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Route = Literal[
    "create", "extend", "edit", "remix", "create_character", "get_character", "retrieve", "list", "delete", "content"
]
Effect = Literal[
    "status",
    "drop",
    "slow",
    "truncate",
    "wrong_type",
    "redirect",
    "no_range",
    "changed",
    "elsewhere",
    "fail_job",
    "expire",
]

# What content is like, whatever else goes wrong with the same request.
ON_TOP: frozenset[Effect] = frozenset({"no_range", "changed"})


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong on one route.

    :param route: ``create``, ``extend``, ``edit``, ``remix``, ``create_character``, ``get_character``, ``retrieve``,
        ``list``, ``delete`` or ``content``
    :param effect: ``status`` answers with `status`; ``drop`` closes the connection; ``slow`` answers `seconds` late;
        ``truncate`` sends content, or the part of it that was asked for, with `fraction` of its bytes and the full
        length, then closes; ``wrong_type`` sends a JSON text as content with status 200; ``redirect`` sends for content
        to `url`; ``no_range`` sends content as a server does that knows neither ``Range`` nor ``ETag``; ``changed``
        sends another version of it (these two come on top of another fault that the same request meets); ``fail_job``
        accepts the job and lets it fail with `code` and `message`; ``expire`` accepts it and forgets its content at
        once; ``elsewhere`` accepts it and refuses its content, which is at `url`, as the video says
    :param times: how often; -1 for ever
    :param skip: how many requests of the route to let pass first
    :param accept: with ``status`` and ``drop``: do the work all the same, so that only the answer is lost
    :param retry_after: with ``status``: the header's seconds
    """

    route: Route
    effect: Effect
    times: int = 1
    skip: int = 0
    accept: bool = False
    status: int = 500
    retry_after: float | None = None
    seconds: float = 1.0
    fraction: float = 0.5
    url: str = ""
    code: str = "server_error"
    message: str = "a fault that the emulator was asked for"

    def __post_init__(self) -> None:
        for name, allowed in (("route", get_args(Route)), ("effect", get_args(Effect))):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it has to be one of {', '.join(allowed)}")


class Faults:
    """The faults still to come, in the order they were added."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: list[_Pending] = []

    def add(self, fault: Fault) -> None:
        """Let this go wrong from now on."""
        with self._lock:
            self._pending.append(_Pending(fault, fault.skip, fault.times))

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        with self._lock:
            self._pending.clear()

    def take(self, route: Route) -> Fault | None:
        """The fault that this request of `route` meets, if any; it is used up by that."""
        with self._lock:
            due = next((p for p in self._of(route, on_top=False) if p.is_due()), None)
            if due is None:
                return None
            due.left -= 1
            return due.fault

    def give_back(self, fault: Fault) -> None:
        """Let it happen to the next request instead: the server has refused this one by itself."""
        with self._lock:
            next(p for p in self._pending if p.fault is fault).left += 1

    def take_on_top(self, route: Route) -> frozenset[Effect]:
        """What this request of `route` meets besides (`ON_TOP`); it is used up by that."""
        with self._lock:
            due = [pending for pending in self._of(route, on_top=True) if pending.is_due()]
            for pending in due:
                pending.left -= 1
            return frozenset(pending.fault.effect for pending in due)

    def _of(self, route: Route, *, on_top: bool) -> Iterator[_Pending]:
        return (p for p in self._pending if p.fault.route == route and (p.fault.effect in ON_TOP) == on_top)

    def to_json(self) -> list[dict[str, Any]]:
        """The faults still to come."""
        with self._lock:
            return [{**asdict(p.fault), "times": p.left, "skip": p.skip} for p in self._pending if p.left]


@dataclass
class _Pending:
    fault: Fault
    skip: int
    left: int

    def is_due(self) -> bool:
        if self.skip > 0:
            self.skip -= 1
            return False
        return self.left != 0
