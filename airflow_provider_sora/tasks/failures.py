"""How an error of this package fails an Airflow task."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_sora.compat import AirflowFailException
from airflow_provider_sora.exceptions import SoraError


@contextmanager
def fail_without_retry() -> Iterator[None]:
    """Raise an error that no retry can fix as `AirflowFailException`, which Airflow does not retry."""
    try:
        yield
    except SoraError as error:
        if error.retryable:
            raise
        raise AirflowFailException(f"{type(error).__name__}: {error}") from error
