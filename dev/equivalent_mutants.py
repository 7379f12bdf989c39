"""Mutants that no test can notice, with the reason: by module, then by the source line and what was changed in it.

A line that is changed or gone makes its entry an error, so that each is looked at again.
"""

from __future__ import annotations

EQUIVALENT: dict[str, dict[tuple[str, str], str]] = {}
