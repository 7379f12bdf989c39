"""How a task fails: with a retry where that can help, for good where it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_sora.compat import AirflowFailException
from airflow_provider_sora.exceptions import SoraError


@contextmanager
def fail_without_retry() -> Iterator[None]:
    """Turn an error that a retry cannot help into one that Airflow does not retry."""
    try:
        yield
    except SoraError as error:
        if error.retryable:
            raise
        raise AirflowFailException(f"{type(error).__name__}: {error}") from error
