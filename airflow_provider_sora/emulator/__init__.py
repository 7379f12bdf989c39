"""A Videos API server for laptops, CI and your own tests: real HTTP, real MP4s, faults on demand, a clock to control.

    python -m airflow_provider_sora.emulator

In a test, use ``with Emulator() as emulator`` or the pytest fixture ``sora_emulator``. Needs the extra ``emulator``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_sora.emulator.clock import Clock
    from airflow_provider_sora.emulator.faults import Fault
    from airflow_provider_sora.emulator.server import Emulator

__all__ = ["Clock", "Emulator", "Fault"]

_MODULES = {"Clock": "clock", "Emulator": "server", "Fault": "faults"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
