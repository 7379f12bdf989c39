"""CPU time and memory of this process, as Linux counts them."""

from __future__ import annotations

import re
import resource
from pathlib import Path

_SELF = Path("/proc/self")


def cpu_seconds() -> float:
    """User and system time of this process, all its threads, and the children it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def resident() -> int:
    """The current memory use in bytes."""
    return _status("VmRSS")


def peak() -> int:
    """The highest memory use in bytes since `reset_peak`."""
    return _status("VmHWM")


def reset_peak() -> None:
    """Begin a new measurement of the peak."""
    (_SELF / "clear_refs").write_text("5")


def _status(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", (_SELF / "status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
