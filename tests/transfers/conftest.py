from __future__ import annotations

import pytest

from tests.transfers.in_memory import FakeClient, MemoryStore


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()
