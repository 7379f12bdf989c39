from __future__ import annotations

import pytest

from airflow_provider_sora.compat import AirflowFailException
from airflow_provider_sora.exceptions import SoraAuthError, SoraServerError
from airflow_provider_sora.tasks.failures import fail_without_retry


def test_an_error_that_no_retry_can_fix_fails_the_task_for_good_and_keeps_its_name() -> None:
    error = SoraAuthError("GET /videos", 401, "wrong key")
    with pytest.raises(AirflowFailException) as caught, fail_without_retry():
        raise error
    assert str(caught.value) == f"SoraAuthError: {error}"
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [SoraServerError("GET /videos", 500, "boom"), RuntimeError("boom")])
def test_any_other_error_stays_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, fail_without_retry():
        raise error
    assert caught.value is error
