"""The retry policy, and that every operator, transfer and sensor has it."""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Iterator
from datetime import timedelta
from inspect import isabstract, isclass
from typing import Any

import pytest

import airflow_provider_sora
from airflow_provider_sora.compat import AIRFLOW_V_3_3_PLUS, BaseOperator
from airflow_provider_sora.exceptions import SoraRateLimitError, SoraServerError, SoraTransferError
from airflow_provider_sora.tasks.retry import retry_after

if AIRFLOW_V_3_3_PLUS:
    from airflow_provider_sora.tasks.retry import SoraRetryPolicy

ROOMS = ("operators", "sensors", "transfers")
# The arguments that each class needs, and no more: a new class is added here, or the test below fails.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "SoraCreateVideoOperator": {"prompt": "a cat"},
    "SoraExtendVideoOperator": {"video": "video_1", "prompt": "it rains"},
    "SoraEditVideoOperator": {"video": "video_1", "prompt": "it rains"},
    "SoraRemixVideoOperator": {"video": "video_1", "prompt": "it rains"},
    "SoraCreateCharacterOperator": {"name": "Tom", "video": "/x.mp4"},
    "SoraDeleteVideoOperator": {"video": "video_1"},
    "SoraVideoSensor": {"video": "video_1"},
    "SoraDownloadVideoOperator": {"video": "video_1", "path": "/x/{id}.mp4"},
    "SoraToObjectStorageOperator": {"video": "video_1", "path": "file:///x/{id}.mp4"},
    "SoraToS3Operator": {"video": "video_1", "s3_key": "s3://bucket/{id}.mp4"},
    "SoraToGCSOperator": {"video": "video_1", "object_name": "gs://bucket/{id}.mp4"},
}


def operators() -> Iterator[type[BaseOperator]]:
    """Every public class of the package that Airflow runs as a task."""
    modules = pkgutil.walk_packages(airflow_provider_sora.__path__, "airflow_provider_sora.")
    for name in sorted(module.name for module in modules if module.name.split(".")[1] in ROOMS):
        for value in vars(importlib.import_module(name)).values():
            is_own = isclass(value) and issubclass(value, BaseOperator) and value.__module__ == name
            if is_own and not isabstract(value) and not value.__name__.startswith("_"):
                yield value


EVERY = list(operators())
needs_policies = pytest.mark.skipif(not AIRFLOW_V_3_3_PLUS, reason="Airflow has retry policies from 3.3 on")


def test_every_operator_of_the_package_is_found() -> None:
    assert {kind.__name__ for kind in EVERY if not kind.__name__.startswith(("SoraJob", "SoraTransfer"))} == set(
        ARGUMENTS
    )


@needs_policies
@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_every_operator_waits_as_long_as_the_server_asked_before_its_next_try(kind: Any) -> None:
    task = kind(task_id="t", **ARGUMENTS[kind.__name__])
    decision = task.retry_policy.evaluate(SoraRateLimitError("call", 429, "quota", retry_after_seconds=3600), 1, 2)
    assert (decision.action.value, decision.retry_delay) == ("retry", timedelta(hours=1))
    assert decision.reason == "the server asked to wait 3600 s"


@needs_policies
@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("way", ["argument", "default_args"])
def test_a_policy_of_the_user_is_kept(kind: Any, way: str) -> None:
    policy: Any = SoraRetryPolicy()
    fields: Any = {"retry_policy": policy} if way == "argument" else {"default_args": {"retry_policy": policy}}
    assert kind(task_id="t", **ARGUMENTS[kind.__name__], **fields).retry_policy is policy


@needs_policies
@pytest.mark.parametrize("error", [SoraServerError("POST /videos", 500, "boom"), RuntimeError("boom")])
def test_any_other_error_is_retried_as_the_task_says(error: BaseException) -> None:
    assert SoraRetryPolicy().evaluate(error, 1, 2).action.value == "default"


def limited(seconds: float) -> SoraRateLimitError:
    return SoraRateLimitError("GET /videos/video_1/content", 429, "quota", retry_after_seconds=seconds)


@pytest.mark.parametrize("asked", [1.764e12, 315_360_000.0, math.inf])
def test_the_next_try_is_never_more_than_a_day_away(asked: float) -> None:
    assert retry_after(limited(asked)) == 86_400


def test_of_several_files_the_longest_time_counts() -> None:
    failures: list[tuple[str, Exception]] = [("a", limited(60)), ("b", RuntimeError("x")), ("c", limited(90))]
    assert retry_after(SoraTransferError(failures, moved=0)) == 90
    assert retry_after(SoraTransferError([("b", RuntimeError("x"))], moved=0)) is None
