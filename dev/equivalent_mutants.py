"""Mutants that no test can notice, with the reason: by module, then by the source line and what was changed in it.

A line that is changed or gone makes its entry an error, so that each is looked at again.
"""

from __future__ import annotations

_BLOCK = "_BLOCK_BYTES = 1024 * 1024"
_ANY_BLOCK = "a digest is the same whatever the size of the blocks that are read"
_PUT = "upload.send(1, part)"
_NO_NUMBER = "a file's parts come in order: their numbers are not looked at"

EQUIVALENT: dict[str, dict[tuple[str, str], str]] = {
    "transfers/file_store.py": {
        (_BLOCK, "1024 becomes 1025"): _ANY_BLOCK,
        (_BLOCK, "1024 becomes 1023"): _ANY_BLOCK,
        (_PUT, "1 becomes 2"): _NO_NUMBER,
        (_PUT, "1 becomes 0"): _NO_NUMBER,
    },
    "transfers/mover.py": {
        ("done = existing.look({key: None}, must_know=True)", "True becomes False"): (
            "what exists is an error only where if_exists is not replace, and there a look does not depend on it"
        ),
    },
    "transfers/s3_store.py": {
        ('if DIGEST_LABEL not in labels and head.get("TagCount", 1):', "1 becomes 2"): "any count but 0 is true",
    },
}
