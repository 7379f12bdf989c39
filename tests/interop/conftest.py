"""Everything in this folder is against code that nobody here wrote."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_sora.emulator import Clock, Emulator

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.interop)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulator whose time stands still."""
    with Emulator(clock=Clock(running=False)) as server:
        yield server
