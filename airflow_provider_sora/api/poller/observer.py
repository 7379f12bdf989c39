"""Who is notified of what a poller does: metrics, in Airflow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from airflow_provider_sora import masking
from airflow_provider_sora.exceptions import SoraError

FigureT = TypeVar("FigureT")

log = masking.logger(__name__)


class Observer(Protocol):
    """Is notified of what a poller does."""

    def waiting(self, count: int) -> None:
        """So many waits are registered now."""

    def requested(self, kind: str) -> None:
        """A request was sent: ``list`` or ``retrieve``."""

    def detected(self, delay_seconds: float) -> None:
        """A job's end was noticed so long after it, by the server's clock."""

    def failed(self, error: SoraError) -> None:
        """A request brought an error."""


def notify(method: Callable[[FigureT], None], figure: FigureT) -> None:
    """Call a method of an observer; one that breaks must not end the waits."""
    try:
        method(figure)
    except Exception:
        log.exception("The observer of a poller broke")
