"""How servers show a job on their lists."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

Job = dict[str, Any]


def unchanged(job: Job) -> Job:
    return job


# Real servers were seen to do each of these; each was once the reason that a video was paid for twice.
REWORDED: dict[str, Callable[[Job], Job]] = {
    "unchanged": unchanged,
    "model with a provider": lambda job: {**job, "model": f"openai/{job['model']}"},
    "another model": lambda job: {**job, "model": "Wan-AI/Wan2.2-T2V-A14B-Diffusers"},
    "no model": lambda job: {**job, "model": None},
    "4.00": lambda job: {**job, "seconds": "4.00"},
    "4.0625": lambda job: {**job, "seconds": "4.0625"},
    "4s": lambda job: {**job, "seconds": "4s"},
    "rounded size": lambda job: {**job, "size": "64x48"},
    "64*64": lambda job: {**job, "size": "64*64"},
    "480p": lambda job: {**job, "size": "480p"},
    "64 x 64": lambda job: {**job, "size": "64 x 64"},
    "white space collapsed": lambda job: {**job, "prompt": " ".join(job["prompt"].split())},
    "CRLF": lambda job: {**job, "prompt": job["prompt"].replace("\n", "\r\n")},
    "HTML escapes": lambda job: {**job, "prompt": job["prompt"].replace("&", "&amp;").replace("'", "&#39;")},
    "without emoji": lambda job: {**job, "prompt": job["prompt"].replace("🐈", "")},
}
# Nothing can be concluded from these: the create is not sent again, and no job is re-attached.
UNCLEAR: dict[str, Callable[[Job], Job]] = {
    "prompt truncated": lambda job: {**job, "prompt": job["prompt"][:12]},
    "prompt truncated with dots": lambda job: {**job, "prompt": job["prompt"][:12] + "..."},
    "prompt rewritten": lambda job: {**job, "prompt": f"A photograph of {job['prompt']}"},
    "no prompt": lambda job: {**job, "prompt": None},
}
MISTIMED: dict[str, Callable[[Job], Job]] = {
    "70 s behind": lambda job: {**job, "created_at": job["created_at"] - 70},
    "an hour ahead": lambda job: {**job, "created_at": job["created_at"] + 3600},
    "none": lambda job: {**job, "created_at": None},
    "local time without a zone": lambda job: {**job, "created_at": _naive(job["created_at"], -8)},
    "milliseconds": lambda job: {**job, "created_at": job["created_at"] * 1000},
    "ISO": lambda job: {**job, "created_at": datetime.fromtimestamp(job["created_at"], UTC).isoformat()},
}


def _naive(created_at: float, hours: int) -> str:
    return datetime.fromtimestamp(created_at, timezone(timedelta(hours=hours))).replace(tzinfo=None).isoformat()
