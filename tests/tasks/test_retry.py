from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_sora.compat import AIRFLOW_V_3_3_PLUS
from airflow_provider_sora.exceptions import SoraRateLimitError, SoraServerError
from airflow_provider_sora.operators.sora import SoraCreateVideoOperator

if AIRFLOW_V_3_3_PLUS:
    from airflow_provider_sora.tasks.retry import SoraRetryPolicy

pytestmark = pytest.mark.skipif(not AIRFLOW_V_3_3_PLUS, reason="Airflow has retry policies from 3.3 on")


def decide(error: BaseException, **fields: Any) -> Any:
    task: Any = SoraCreateVideoOperator(task_id="c", prompt="a", **fields)
    return task.retry_policy.evaluate(error, 1, 2)


def test_a_retry_waits_as_long_as_the_server_asked() -> None:
    decision = decide(SoraRateLimitError("POST /videos", 429, "quota", retry_after_seconds=3600))
    assert (decision.action.value, decision.retry_delay) == ("retry", timedelta(hours=1))
    assert decision.reason == "the server asked to wait 3600 s"


@pytest.mark.parametrize("asked", [1.764e12, 315_360_000.0, math.inf])
def test_airflows_next_try_is_never_more_than_a_day_away(asked: float) -> None:
    decision = decide(SoraRateLimitError("POST /videos", 429, "quota", retry_after_seconds=asked))
    assert decision.retry_delay == timedelta(days=1)


@pytest.mark.parametrize("error", [SoraServerError("POST /videos", 500, "boom"), RuntimeError("boom")])
def test_any_other_error_is_retried_as_the_task_says(error: BaseException) -> None:
    assert decide(error).action.value == "default"


@pytest.mark.parametrize("way", ["argument", "default_args"])
def test_a_users_own_policy_stays(way: str) -> None:
    policy: Any = SoraRetryPolicy()
    fields: Any = {"retry_policy": policy} if way == "argument" else {"default_args": {"retry_policy": policy}}
    task: Any = SoraCreateVideoOperator(task_id="c", prompt="a", **fields)
    assert task.retry_policy is policy
