"""Random scripts against the protocol: tasks with one prompt, in any order, killed at any step, on any server."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, given, settings

from tests.submission.model import SCRIPTS, Script, check

# `SORA_MODEL_EXAMPLES=20000` searches at random, for minutes; without it the same scripts are run each time.
_EXAMPLES = int(os.environ.get("SORA_MODEL_EXAMPLES", "0"))


@settings(
    max_examples=_EXAMPLES or 600,
    derandomize=not _EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(SCRIPTS)
def test_no_script_makes_the_tasks_pay_twice(script: Script) -> None:
    check(script)
