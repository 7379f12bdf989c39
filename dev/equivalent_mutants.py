"""Mutants that no test can notice, with the reason: by module, then by the source line and what was changed in it.

A line that is changed or gone makes its entry an error, so that each is looked at again.
"""

from __future__ import annotations

_BLOCK = "_BLOCK_BYTES = 1024 * 1024"
_ANY_BLOCK = "a digest is the same whatever the size of the blocks that are read"
_PUT = "upload.send(1, part)"
_NO_NUMBER = "a file's parts come in order: their numbers are not looked at"

_SELECTORS = "_VARIATION_SELECTORS = range(0xFE00, 0xFE10)"

EQUIVALENT: dict[str, dict[tuple[str, str], str]] = {
    "api/decisions/retry.py": {
        ("if attempt >= policy.attempts or (asked or 0) > policy.max_seconds:", "0 becomes -1"): (
            "a server that asks for nothing asks for no more than any longest pause"
        ),
    },
    "submission/lookup.py": {
        ("break", "Break becomes Continue"): "without a next page the rest of the rounds does nothing",
    },
    "submission/matching.py": {
        ("NEW = 2", "2 becomes 3"): "only the order of the ages counts",
        ("OLD = 0", "0 becomes -1"): "only the order of the ages counts",
    },
    "submission/prompts.py": {
        (_SELECTORS, "65040 becomes 65041"): "U+FE10 is normalized to a comma before it is looked at",
        (_SELECTORS, "65024 becomes 65023"): "U+FDFF is a symbol anyway",
        ("break", "Break becomes Continue"): "a text without escapes stays as it is, however often it is unescaped",
    },
    "submission/resend.py": {
        ("elif store is not None and previous is not None:", "And becomes Or"): (
            "with a store and nothing before, the branch above was taken; without a store there is nothing before"
        ),
    },
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
        ('if DIGEST_KEY not in labels and head.get("TagCount", 1):', "1 becomes 2"): "any count but 0 is true",
    },
}
