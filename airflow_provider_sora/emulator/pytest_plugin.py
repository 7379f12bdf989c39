"""The pytest fixture that comes with the package: ``def test_my_dag(sora_emulator): ...``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_provider_sora.emulator.server import Emulator


@pytest.fixture
def sora_emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """A Videos API server on a free port, with a running clock; the connection ``sora_default`` leads to it."""
    from airflow_provider_sora.emulator.server import Emulator

    with Emulator() as emulator:
        monkeypatch.setenv("AIRFLOW_CONN_SORA_DEFAULT", emulator.connection())
        yield emulator
