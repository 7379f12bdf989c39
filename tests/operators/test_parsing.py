"""Errors that are found when the DAG is parsed."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.operators.sora import (
    SoraCreateCharacterOperator,
    SoraCreateVideoOperator,
    SoraDeleteVideoOperator,
    SoraExtendVideoOperator,
    SoraRemixVideoOperator,
)
from airflow_provider_sora.sensors.sora import SoraVideoSensor


@pytest.mark.parametrize("bad", [".", "..", "a/b", "x" * 70_000, ["video_1", ".."]])
@pytest.mark.parametrize("kind", [SoraDeleteVideoOperator, SoraVideoSensor, SoraRemixVideoOperator])
def test_an_invalid_id(kind: Any, bad: Any) -> None:
    prompt = {"prompt": "it rains"} if kind is SoraRemixVideoOperator else {}
    with pytest.raises(SoraConfigError, match=r"video is '.*: an id (is|has)"):
        kind(task_id="t", video=bad, **prompt)
    for later in ("{{ params.video }}", {"id": "{{ x }}"}, "video_1"):
        kind(task_id="t", video=later, **prompt)


@pytest.mark.parametrize("parameters", [{"seed": {1}}, {"seed": float("nan")}, [1], {1: 2}])
def test_parameters_that_are_not_json(parameters: Any) -> None:
    with pytest.raises(SoraConfigError, match="parameters"):
        SoraCreateVideoOperator(task_id="t", prompt="a cat", parameters=parameters)
    with pytest.raises(SoraConfigError, match="parameters"):
        SoraCreateCharacterOperator(task_id="t", name="Tom", video="/x.mp4", parameters=parameters)


@pytest.mark.parametrize("size", ["0x0", "64x0", f"{10**9}x1"])
def test_a_size_without_pixels(size: str) -> None:
    with pytest.raises(SoraConfigError, match="each side has to be 1 to 99999 pixels"):
        SoraCreateVideoOperator(task_id="t", prompt="a cat", size=size)


def test_a_template_that_renders_no_prompts() -> None:
    task = SoraExtendVideoOperator(task_id="t", video="video_1", prompt="it rains")
    task.prompt = []
    with pytest.raises(SoraConfigError, match="prompt is empty"):
        task.build_request(None, 0, None)  # type: ignore[arg-type]
