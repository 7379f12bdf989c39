from __future__ import annotations

import importlib
import inspect
import math
import pkgutil
from datetime import timedelta
from typing import Any

import pytest

import airflow_provider_sora as package
from airflow_provider_sora.compat import AIRFLOW_V_3_3_PLUS, BaseOperator
from airflow_provider_sora.exceptions import SoraRateLimitError, SoraServerError
from airflow_provider_sora.operators.sora import SoraCreateVideoOperator

if AIRFLOW_V_3_3_PLUS:
    from airflow_provider_sora.tasks.retry import SoraRetryPolicy

PACKAGE = "airflow_provider_sora"

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


def task_classes() -> list[type]:
    """Each class of the package that a DAG can have as a task."""
    found = []
    for info in pkgutil.walk_packages(package.__path__, "airflow_provider_sora."):
        if info.name.split(".")[1] in ("operators", "sensors", "transfers"):
            module = importlib.import_module(info.name)
            found += [one for one in vars(module).values() if inspect.isclass(one) and one.__module__ == info.name]
    return [one for one in found if issubclass(one, BaseOperator) and not one.__name__.startswith("_")]


ARGUMENTS: dict[str, Any] = {
    "prompt": "a cat",
    "video": "video_1",
    "name": "Ada",
    "path": "/videos/{id}.mp4",
    "s3_bucket": "b",
    "s3_key": "{id}.mp4",
    "object_name": "{id}.mp4",
    "bucket_name": "b",
}


@pytest.mark.parametrize("task_class", task_classes(), ids=lambda one: one.__name__)
def test_each_task_of_the_package_follows_the_server(task_class: Any) -> None:
    if inspect.isabstract(task_class) or task_class.__name__ in ("SoraJobOperator", "SoraTransferOperator"):
        pytest.skip("what others are made of")
    known = set(inspect.signature(task_class.__init__).parameters)
    for parent in task_class.__mro__:
        known |= set(inspect.signature(parent.__init__).parameters) if parent.__module__.startswith(PACKAGE) else set()
    task = task_class(task_id="t", **{name: value for name, value in ARGUMENTS.items() if name in known})
    assert isinstance(task.retry_policy, SoraRetryPolicy)
