"""The jobs of the emulator: a state machine that is told the time, without HTTP and without threads of its own."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# What a prompt can ask for, where its writer has no other hold on the emulator: "[emulator:moderation]".
DIRECTIVE = re.compile(r"\[emulator:(fail|moderation|expire|stuck)\]")
_FAILURES = {
    "fail": ("server_error", "The video could not be generated."),
    "moderation": ("moderation_blocked", "Your request was blocked by our moderation system."),
}


@dataclass(frozen=True)
class Timing:
    """How long things take, in seconds of the emulator's clock."""

    queued_seconds: float = 1.0
    render_seconds: float = 6.0
    retention_seconds: float = 3600.0


@dataclass
class Job:
    """One video job; `error` is code and message of the failure it is heading for."""

    id: str
    created_at: float
    started_at: float
    ended_at: float
    expires_at: float
    prompt: str
    model: str
    seconds: str
    size: str
    error: tuple[str, str] | None = None
    reference: tuple[str, int] | None = None
    extra: dict[str, Any] | None = None

    def status(self, now: float) -> str:
        """The API's word for where the job is."""
        if now >= self.ended_at:
            return "failed" if self.error else "completed"
        return "in_progress" if now >= self.started_at else "queued"

    def progress(self, now: float) -> int:
        """Percent done."""
        share = (now - self.started_at) / max(self.ended_at - self.started_at, 1e-9)
        return max(0, min(100, int(100 * share)))

    def to_json(self, now: float) -> dict[str, Any]:
        """The Video of the API, with every field of the official schema."""
        status = self.status(now)
        ended = status in ("completed", "failed")
        failed = status == "failed" and self.error
        return {
            "id": self.id,
            "object": "video",
            "model": self.model,
            "status": status,
            "progress": self.progress(now),
            "created_at": int(self.created_at),
            "completed_at": int(self.ended_at) if ended else None,
            "expires_at": int(self.expires_at) if status == "completed" else None,
            "prompt": self.prompt,
            "size": self.size,
            "seconds": self.seconds,
            "remixed_from_video_id": None,
            "error": {"code": self.error[0], "message": self.error[1]} if failed and self.error else None,
        }


class Jobs:
    """All jobs, oldest first.

    :param now: tells unix seconds
    :param speed: divides every duration
    """

    def __init__(self, now: Callable[[], float], timing: Timing | None = None, speed: float = 1.0) -> None:
        self.now = now
        self.timing = timing or Timing()
        self.speed = speed
        self.creates = 0
        self._jobs: dict[str, Job] = {}

    def create(self, fields: dict[str, Any], error: tuple[str, str] | None = None, *, expired: bool = False) -> Job:
        """Accept a paid job. `error`: let it fail so; `expired`: forget its content as soon as it is done."""
        now = self.now()
        found = DIRECTIVE.search(str(fields["prompt"]))
        wish = found.group(1) if found else ""
        started = now + self.timing.queued_seconds / self.speed
        ended = float("inf") if wish == "stuck" else started + self.timing.render_seconds / self.speed
        retention = 0.0 if expired or wish == "expire" else self.timing.retention_seconds / self.speed
        job = Job(
            id=f"video_{secrets.token_hex(16)}",
            created_at=now,
            started_at=started,
            ended_at=ended,
            expires_at=ended + retention,
            prompt=str(fields["prompt"]),
            model=str(fields.get("model") or "sora-2"),
            seconds=str(fields.get("seconds") or "4"),
            size=str(fields.get("size") or "720x1280"),
            error=error or _FAILURES.get(wish),
            reference=fields.get("input_reference"),
            extra={k: v for k, v in fields.items() if k not in Job.__dataclass_fields__ and k != "input_reference"},
        )
        self._jobs[job.id] = job
        self.creates += 1
        return job

    def get(self, job_id: str) -> Job | None:
        """A job, or None."""
        return self._jobs.get(job_id)

    def delete(self, job_id: str) -> None:
        """Forget a job."""
        self._jobs.pop(job_id, None)

    def page(self, limit: int, order: str, after: str | None) -> tuple[list[Job], bool]:
        """One page of the list, and whether more follow."""
        jobs = list(self._jobs.values())
        if order == "desc":
            jobs.reverse()
        ids = [job.id for job in jobs]
        begin = ids.index(after) + 1 if after in ids else 0
        return jobs[begin : begin + limit], begin + limit < len(jobs)

    def all(self) -> list[Job]:
        """Every job, oldest first."""
        return list(self._jobs.values())
