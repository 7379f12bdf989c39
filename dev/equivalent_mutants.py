"""Equivalent mutants, which no test can detect, with the reason: by module, then by the source line and its change.

An entry whose line was changed or removed is an error, so that each is reviewed.
"""

from __future__ import annotations

_ASKED = "return (error.retry_after_seconds or 0.0) if isinstance(error, SoraStatusError) else 0.0"
_PAUSE = "def _pause(wait: Wait, now: float, history: Sequence[float], jitter: float, least: float = 0.0) -> float:"
_BLOCK = "_BLOCK_BYTES = 1024 * 1024"
_ANY_BLOCK = "the digest does not depend on the size of the blocks that are read"
_PUT = "upload.send(1, part)"
_NO_NUMBER = "the parts of a file arrive in order: their numbers are not used"

_SELECTORS = "_VARIATION_SELECTORS = range(0xFE00, 0xFE10)"

_RIVAL = "if any(rival.has_it or (yields_to_lower and rival.index < claims.index) for rival in rivals):"
_AGE_ONLY = 'videos, covers_new_jobs=False, now=float("inf"), clock_offset_seconds=clock_offset_seconds'
_PAIRS = "return [video for video, score in zip(videos, scores, strict=True) if score == max(scores)]"

_LEAST = "a least pause below a second is no limit"

EQUIVALENT: dict[str, dict[tuple[str, str], str]] = {
    "api/decisions/intervals.py": {
        ("least: float = 0.0,", "0.0 becomes 1.0"): _LEAST,
        ("least: float = 0.0,", "0.0 becomes -1.0"): _LEAST,
    },
    "api/decisions/polling.py": {
        ("least_seconds: float = 0.0,", "0.0 becomes 1.0"): _LEAST,
        ("least_seconds: float = 0.0,", "0.0 becomes -1.0"): _LEAST,
        (
            "return (error.retry_after_seconds or 0.0) if isinstance(error, SoraStatusError) else 0.0",
            "0.0 becomes -1.0",
        ): ("a pause that nobody asked for is shorter than any other"),
        (_PAUSE, "0.0 becomes 1.0"): _LEAST,
        (_PAUSE, "0.0 becomes -1.0"): _LEAST,
    },
    "api/decisions/retry.py": {
        ("if attempt >= policy.attempts or (asked or 0) > policy.max_seconds:", "0 becomes -1"): (
            "a server that asks for nothing asks for no more than any longest pause"
        ),
    },
    "submission/lookup.py": {
        ("break", "Break becomes Continue"): "without a next page the rest of the rounds does nothing",
    },
    "submission/claims.py": {
        (_RIVAL, "Lt becomes LtE"): "no other mapped task has the index of this one",
    },
    "submission/matching.py": {
        (_AGE_ONLY, "False becomes True"): "the age of a job does not depend on it",
        (_PAIRS, "True becomes False"): "there is a score for each video",
        ("NEW = 2", "2 becomes 3"): "only the order of the ages counts",
        ("OLD = 0", "0 becomes -1"): "only the order of the ages counts",
    },
    "submission/prompts.py": {
        (_SELECTORS, "65040 becomes 65041"): "U+FE10 is normalized to a comma before it is checked",
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
        ("stored = existing.find([key], even_to_replace=True)", "True becomes False"): (
            "a file that exists is an error only where if_exists is not replace, and there it makes no difference"
        ),
    },
    "transfers/s3_store.py": {
        ('if DIGEST_KEY not in metadata and head.get("TagCount", 1):', "1 becomes 2"): "any count but 0 is true",
    },
}
