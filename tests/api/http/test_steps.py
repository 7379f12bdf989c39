from __future__ import annotations

import pytest

from airflow_provider_sora.api.http.steps import Flow, Now, fail
from airflow_provider_sora.exceptions import SoraConfigError, SoraError

ERROR = SoraConfigError("no server is set")


def handling(*, again: bool = False) -> Flow[str]:
    try:
        yield Now()
    except SoraError as error:
        if again:
            yield Now()
        return f"failed: {error}"
    return "succeeded"


def ignoring() -> Flow[str]:
    yield Now()
    return "succeeded"


def without_steps() -> Flow[str]:
    yield from ()
    return "succeeded"


def test_a_flow_decides_what_an_error_of_its_first_step_means() -> None:
    assert fail(handling(), ERROR) == "failed: no server is set"
    assert fail(without_steps(), ERROR) == "succeeded"


def test_an_error_that_a_flow_does_not_end_with_is_raised() -> None:
    with pytest.raises(SoraConfigError, match="no server is set"):
        fail(ignoring(), ERROR)
    with pytest.raises(SoraConfigError, match="no server is set"):
        fail(handling(again=True), ERROR)
