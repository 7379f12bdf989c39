from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_sora.api.protocol import validation
from airflow_provider_sora.exceptions import SoraConfigError


@pytest.mark.parametrize(
    ("model", "sora"),
    [
        ("sora-2", True),
        ("sora-2-pro", True),
        ("sora-2-2025-12-08", True),
        ("sora-2-pro-2025-10-06", True),
        ("sora-2-turbo", False),
        ("wan2.2", False),
        (None, False),
    ],
)
def test_limits_are_documented_for_the_hosted_models_only(model: str | None, sora: bool) -> None:
    assert validation.is_sora(model) is sora


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"prompt": ""}, "prompt is ''"),
        ({"prompt": " "}, "prompt is ' '"),
        ({"prompt": 7}, "prompt is 7"),
        ({"seconds": "soon"}, "seconds is 'soon'; it has to be a number above 0"),
        ({"seconds": 0}, "seconds is 0"),
        ({"seconds": -4}, "seconds is -4"),
        ({"seconds": True}, "seconds is True"),
        ({"seconds": 10**5000}, "seconds is <int>; it has to be a number above 0"),
        ({"seconds": "٤"}, "seconds is '٤'; it has to be a number above 0"),
        ({"size": ""}, "leave it out"),
        ({"size": "0x0"}, "size is '0x0'; each side has to be 1 to 99999 pixels"),
        ({"size": "64*0"}, "size is '64*0'; each side"),
        ({"size": f"{'9' * 5000}x1"}, "each side has to be 1 to 99999 pixels"),
        ({"model": "sora-2", "prompt": "x" * 32_001}, "prompt has 32001 characters; sora-2 takes 32000"),
        ({"model": "sora-2", "seconds": 5}, "seconds is 5; sora-2 has 4, 8, 12"),
        ({"model": "sora-2", "size": "1920x1080"}, "size is '1920x1080'; sora-2 has 720x1280"),
        ({"model": "sora-2-pro", "size": "640x480"}, "1920x1080"),
        ({"model": "sora-2", "characters": ["a", "b", "c"]}, "characters has 3; sora-2 takes 2"),
    ],
)
def test_what_is_beyond_a_limit_is_named_with_what_is_allowed(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(SoraConfigError) as caught:
        validation.check_create(**fields)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"model": "sora-2", "prompt": "a", "seconds": "8", "size": "1280x720", "characters": ["a", "b"]},
        {"model": "sora-2-pro", "size": "1920x1080", "seconds": 12.0},
        {"model": "wan", "prompt": "x" * 40_000, "seconds": 5, "size": "768P", "characters": ["a"] * 9},
        {"seconds": 2.5, "size": "640x480"},
    ],
)
def test_what_another_model_may_know_is_left_to_its_server(fields: dict[str, Any]) -> None:
    validation.check_create(**fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"model": "sora-2", "steps": 7, "seconds": 4}, "prompt has 7 extensions; sora-2 takes 6"),
        (
            {"model": "sora-2", "steps": 6, "seconds": 20, "source_seconds": "12"},
            "would be 132 s long; sora-2 allows 120",
        ),
        ({"model": "sora-2", "steps": 1, "seconds": 5}, "sora-2 has 4, 8, 12, 16, 20"),
        ({"model": "wan", "steps": 1, "seconds": "x"}, "seconds is 'x'"),
    ],
)
def test_an_extension_beyond_a_limit_is_named(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(SoraConfigError) as caught:
        validation.check_extension(**{"source_seconds": None, **fields})
    assert words in str(caught.value)


def test_extensions_within_the_limits_pass() -> None:
    validation.check_extension(model="sora-2", source_seconds="12", seconds=16, steps=6)
    validation.check_extension(model="sora-2", source_seconds=None, seconds=None, steps=1)
    validation.check_extension(model=None, source_seconds="200", seconds=30, steps=9)


@pytest.mark.parametrize("name", ["", "x" * 81, 7])
def test_a_name_has_a_length(name: Any) -> None:
    validation.check_name("x" * 80)
    validation.check_name(None)
    with pytest.raises(SoraConfigError, match="it has to be 1 to 80 characters"):
        validation.check_name(name)


class Later:
    """What Airflow resolves when the task runs."""

    def iter_references(self) -> None: ...

    def resolve(self) -> None: ...


@pytest.mark.parametrize(
    "parameters",
    [None, {}, {"seed": 7, "a": [{"b": None}]}, "{{ params.all }}", Later(), {"a": [Later()], "b": {"c": Later()}}],
)
def test_parameters_may_be_json_or_come_later(parameters: Any) -> None:
    validation.check_parameters(parameters)


ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ([1], r"parameters is \[1\]; it has to be a dict of fields by their names"),
        ({7: 1}, "it has to be a dict of fields by their names"),
        ({"seed": {1}}, r"parameters: seed is \{1\}, which cannot be sent as JSON: Object of type set"),
        ({"seed": [{"a": b"x"}]}, "parameters: seed is .*bytes is not JSON"),
        ({"seed": float("nan")}, "parameters: seed is nan, which cannot be sent"),
        ({"seed": ENDLESS}, "parameters: seed is .*Circular reference"),
    ],
)
def test_parameters_that_json_does_not_know_are_named(parameters: Any, words: str) -> None:
    with pytest.raises(SoraConfigError, match=words):
        validation.check_parameters(parameters)
