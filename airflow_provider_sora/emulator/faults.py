"""The faults that a user has ordered: what goes wrong, when, and how often."""

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

# These change the content, and combine with another fault of the same request.
CONTENT_EFFECTS: frozenset[Effect] = frozenset({"no_range", "changed"})


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong on one route.

    :param route: ``create``, ``extend``, ``edit``, ``remix``, ``create_character``, ``get_character``, ``retrieve``,
        ``list``, ``delete`` or ``content``
    :param effect: ``status`` responds with `status`; ``drop`` closes the connection; ``slow`` responds `seconds` late;
        ``truncate`` sends `fraction` of the requested content under its full length, then closes the connection;
        ``wrong_type`` sends JSON as content with status 200; ``redirect`` redirects a request for content to `url`;
        ``no_range`` sends content without support for ``Range`` and ``ETag``; ``changed`` sends another version of the
        content (these two combine with another fault of the same request); ``fail_job`` accepts the job, which fails
        with `code` and `message`; ``expire`` accepts the job, whose content expires at once; ``elsewhere`` accepts the
        job, whose content is at `url`, as the video says, and is refused here
    :param times: how many requests it affects; -1 for all
    :param skip: how many requests of the route it leaves alone first
    :param accept: with ``status`` and ``drop``: process the request all the same, so that only the response is lost
    :param retry_after: with ``status``: the seconds in the header ``Retry-After``
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
    message: str = "injected by the emulator"

    def __post_init__(self) -> None:
        for name, allowed in (("route", get_args(Route)), ("effect", get_args(Effect))):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it has to be one of {', '.join(allowed)}")


class Faults:
    """The faults that are pending, in the order in which they were added."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: list[_Pending] = []

    def add(self, fault: Fault) -> None:
        """Add a fault; it affects requests from now on."""
        with self._lock:
            self._pending.append(_Pending(fault, fault.skip, fault.times))

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._pending.clear()

    def take(self, route: Route) -> Fault | None:
        """The fault of this request of `route`, if any, which counts as one of its `times`."""
        with self._lock:
            due = next((p for p in self._of(route, changes_content=False) if p.is_due()), None)
            if due is None:
                return None
            due.left -= 1
            return due.fault

    def give_back(self, fault: Fault) -> None:
        """Count a fault for the next request instead: the server has refused this one by itself."""
        with self._lock:
            next(p for p in self._pending if p.fault is fault).left += 1

    def take_content_effects(self, route: Route) -> frozenset[Effect]:
        """The `CONTENT_EFFECTS` of this request of `route`, each of which counts as one of its `times`."""
        with self._lock:
            due = [pending for pending in self._of(route, changes_content=True) if pending.is_due()]
            for pending in due:
                pending.left -= 1
            return frozenset(pending.fault.effect for pending in due)

    def to_json(self) -> list[dict[str, Any]]:
        """The pending faults."""
        with self._lock:
            return [{**asdict(p.fault), "times": p.left, "skip": p.skip} for p in self._pending if p.left]

    def _of(self, route: Route, *, changes_content: bool) -> Iterator[_Pending]:
        of_route = (pending for pending in self._pending if pending.fault.route == route)
        return (pending for pending in of_route if (pending.fault.effect in CONTENT_EFFECTS) == changes_content)


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
