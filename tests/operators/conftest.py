"""An emulator that is fast, and both ways to run an operator."""

from __future__ import annotations

import pytest

from airflow_provider_sora.emulator import Emulator
from tests.operators.running import Run, run_blocking, run_deferred


@pytest.fixture(params=[run_blocking, run_deferred], ids=["blocking", "deferred"])
def run(request: pytest.FixtureRequest) -> Run:
    """Blocking and deferred."""
    chosen: Run = request.param
    return chosen


@pytest.fixture
def fast(sora_emulator: Emulator) -> Emulator:
    """An emulator whose jobs take a tenth of a second."""
    sora_emulator.jobs.speed = 70
    return sora_emulator
