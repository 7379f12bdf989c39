"""When Airflow starts the next try: after the time that the server asked for, at most a day (Airflow 3.3 and later)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_sora.api.protocol.pause_limits import retry_pause
from airflow_provider_sora.compat import AIRFLOW_V_3_3_PLUS
from airflow_provider_sora.exceptions import SoraStatusError, SoraTransferError

if TYPE_CHECKING or AIRFLOW_V_3_3_PLUS:
    from airflow_provider_sora.compat import RetryDecision, RetryPolicy

    class SoraRetryPolicy(RetryPolicy):
        """Retries after the time that the server asked for (`Retry-After`), and otherwise as the task says."""

        def evaluate(
            self, exception: BaseException, try_number: int, max_tries: int, context: Any = None
        ) -> RetryDecision:
            """The decision for an error that Airflow is about to retry."""
            del try_number, max_tries, context
            asked = retry_after(exception)
            if asked is None:
                return RetryDecision.default()
            return RetryDecision.retry(timedelta(seconds=asked), f"the server asked to wait {asked:g} s")


def retry_after(error: BaseException) -> float | None:
    """How many seconds the server asked to wait before the next try; of several files, the longest time."""
    if isinstance(error, SoraTransferError):
        asked = [seconds for _, failure in error.failures if (seconds := retry_after(failure)) is not None]
        return max(asked, default=None)
    if isinstance(error, SoraStatusError) and error.retry_after_seconds is not None:
        return retry_pause(error.retry_after_seconds)
    return None


def use_retry_policy(operator: Any) -> None:
    """Give an operator this policy, where Airflow has retry policies and neither the user nor the DAG sets one."""
    if AIRFLOW_V_3_3_PLUS and operator.retry_policy is None:
        operator.retry_policy = SoraRetryPolicy()
