from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.tasks.arguments import constant, further_fields, or_default_deferrable, positive_seconds


@pytest.mark.parametrize(
    ("value", "known"),
    [
        ("a", "a"),
        ("{{ a }}", None),
        ("{% if a %}", None),
        (4, 4),
        (["a", "b"], ["a", "b"]),
        (["a", "{{ b }}"], None),
        ({"a": 1}, {"a": 1}),
        (object(), None),
        (None, None),
    ],
)
def test_only_constants_are_known_when_the_dag_is_parsed(value: Any, known: Any) -> None:
    assert constant(value) == known


@pytest.mark.parametrize(("value", "seconds"), [(1, 1.0), ("2.5", 2.5), (timedelta(minutes=1), 60.0)])
def test_a_duration_is_a_number_or_a_timedelta(value: Any, seconds: float) -> None:
    assert positive_seconds("timeout", value) == seconds


@pytest.mark.parametrize("value", [0, -1, "soon", None, float("nan"), float("inf"), timedelta(0), timedelta.max, [1]])
def test_an_invalid_duration_is_named(value: Any) -> None:
    with pytest.raises(SoraConfigError, match=r"timeout is .*; it has to be more than 0 seconds and at most ten years"):
        positive_seconds("timeout", value)


@pytest.mark.parametrize("setting", ["True", "False"])
def test_deferrable_follows_the_setting_of_airflow_unless_it_is_given(
    monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", setting)
    assert or_default_deferrable(None) is (setting == "True")
    assert or_default_deferrable(True) is True
    assert or_default_deferrable(False) is False


def test_further_fields_are_the_parameters() -> None:
    assert further_fields({"seed": 7}, "prompt") == {"seed": 7}
    assert further_fields(None, "prompt") == {}


@pytest.mark.parametrize("rendered", ["no dict", [1], 7])
def test_a_template_that_does_not_render_a_dict_is_named(rendered: Any) -> None:
    with pytest.raises(SoraConfigError, match="it has to be a dict of fields by their names"):
        further_fields(rendered, "prompt")


@pytest.mark.parametrize("name", ["prompt", "fit", "reference_as", "storage_conn_id"])
def test_a_field_that_has_an_argument_is_refused(name: str) -> None:
    with pytest.raises(SoraConfigError, match=f"parameters has {name}: pass it as an argument of the operator"):
        further_fields({name: "x"}, "prompt")
