"""When Airflow tries again: after the time that the server asked for, within a day (Airflow 3.3 and later)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_sora.api.protocol.pause_limits import retry_pause
from airflow_provider_sora.compat import AIRFLOW_V_3_3_PLUS
from airflow_provider_sora.exceptions import SoraStatusError

if TYPE_CHECKING or AIRFLOW_V_3_3_PLUS:
    from airflow_provider_sora.compat import RetryDecision, RetryPolicy

    class SoraRetryPolicy(RetryPolicy):
        """Waits as long as the server asked to, and otherwise as the task's own settings say."""

        def evaluate(
            self, exception: BaseException, try_number: int, max_tries: int, context: Any = None
        ) -> RetryDecision:
            """The decision for an error that Airflow would retry."""
            del try_number, max_tries, context
            asked = exception.retry_after_seconds if isinstance(exception, SoraStatusError) else None
            if asked is None:
                return RetryDecision.default()
            asked = retry_pause(asked)  # bounded, wherever the error comes from
            return RetryDecision.retry(timedelta(seconds=asked), f"the server asked to wait {asked:g} s")


def use_retry_policy(operator: Any) -> None:
    """Give an operator our retry policy, where Airflow has such a thing and neither user nor DAG set one."""
    if AIRFLOW_V_3_3_PLUS and operator.retry_policy is None:
        operator.retry_policy = SoraRetryPolicy()
