from __future__ import annotations

import pytest

from airflow_provider_sora.emulator import Emulator
from airflow_provider_sora.exceptions import SoraVideoGoneError
from airflow_provider_sora.operators.sora import SoraCreateVideoOperator
from tests.operators.running import Run, run_blocking, run_deferred


@pytest.mark.parametrize("run", [run_blocking, run_deferred], ids=["blocking", "deferred"])
def test_a_job_that_the_server_has_lost_is_gone_and_a_retry_can_help(
    sora_emulator: Emulator, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    # As after a restart in which it lost all jobs.
    monkeypatch.setattr(sora_emulator.jobs, "get", lambda _: None)
    monkeypatch.setattr(sora_emulator.jobs, "page", lambda *_: ([], False))
    task = SoraCreateVideoOperator(task_id="c", prompt="a cat", poll_interval=0.01)
    with pytest.raises(SoraVideoGoneError, match=r"no longer has this job .*, so nothing is left running") as caught:
        run(task)
    assert caught.value.retryable
    assert [entry["route"] for entry in sora_emulator.requests][-4:] == ["retrieve"] * 3 + ["list"]
