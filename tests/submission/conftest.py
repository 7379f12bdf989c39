"""The server of the tests that are about one case each."""

from __future__ import annotations

import pytest

from tests.submission.world import World

LONG_AGO_SECONDS = 1_000.0


@pytest.fixture
def world() -> World:
    """A server that also shows another task's job, because an empty list proves nothing."""
    world = World()
    world.add(prompt="a dog", model="other", seconds="8", size="32x32")
    world.now += LONG_AGO_SECONDS
    return world
