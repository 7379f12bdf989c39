"""The jobs of the emulator: a state machine that is given the time; it has neither HTTP nor threads."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

# What a prompt can request, for users who cannot reach the emulator otherwise: "[emulator:moderation]".
DIRECTIVE = re.compile(r"\[emulator:(fail|moderation|expire|stuck)\]")
_FAILURES = {
    "fail": ("server_error", "The video could not be generated."),
    "moderation": ("moderation_blocked", "Your request was blocked by our moderation system."),
}


@dataclass(frozen=True)
class Timing:
    """How long a job is queued, rendered and kept, in seconds of the emulator's clock."""

    queued_seconds: float = 1.0
    render_seconds: float = 6.0
    retention_seconds: float = 3600.0


@dataclass
class Job:
    """One video job.

    :param error: code and message of the failure with which it will end
    """

    id: str
    created_at: float
    started_at: float
    ended_at: float
    expires_at: float
    prompt: str
    model: str
    seconds: str
    size: str
    kind: str = "create"
    error: tuple[str, str] | None = None
    remixed_from: str | None = None
    url: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)

    def status(self, now: float) -> str:
        """The status, in the API's words."""
        if now >= self.ended_at:
            return "failed" if self.error else "completed"
        return "in_progress" if now >= self.started_at else "queued"

    def is_running(self, now: float) -> bool:
        """Whether the job may still become a video."""
        return now < self.ended_at

    def progress(self, now: float) -> int:
        """Percent done."""
        share = (now - self.started_at) / max(self.ended_at - self.started_at, 1e-9)
        return max(0, min(100, int(100 * share)))

    def to_json(self, now: float) -> dict[str, Any]:
        """The Video of the API, with every field of the official schema."""
        status = self.status(now)
        failure = self.error if status == "failed" else None
        fields = {
            "id": self.id,
            "object": "video",
            "model": self.model,
            "status": status,
            "progress": self.progress(now),
            "created_at": int(self.created_at),
            "completed_at": None if self.is_running(now) else int(self.ended_at),
            "expires_at": int(self.expires_at) if status == "completed" else None,
            "prompt": self.prompt,
            "size": self.size,
            "seconds": self.seconds,
            "remixed_from_video_id": self.remixed_from,
            "error": {"code": failure[0], "message": failure[1]} if failure else None,
        }
        return fields | ({"url": self.url} if self.url and status == "completed" else {})


@dataclass
class Character:
    """A character made from a video."""

    id: str
    name: str
    created_at: float

    def to_json(self) -> dict[str, Any]:
        """The character as the API returns it."""
        return {"id": self.id, "name": self.name, "created_at": int(self.created_at)}


class Jobs:
    """All jobs, oldest first, and all characters.

    :param now: returns the time in unix seconds
    :param speed: divides every duration
    """

    def __init__(self, now: Callable[[], float], timing: Timing | None = None, speed: float = 1.0) -> None:
        self.now = now
        self.timing = timing or Timing()
        self.speed = speed
        self.creates = 0
        self.characters: dict[str, Character] = {}
        self._jobs: dict[str, Job] = {}

    def create(
        self,
        fields: dict[str, Any],
        *,
        kind: str = "create",
        source: Job | None = None,
        video_id: str | None = None,
        error: tuple[str, str] | None = None,
        expired: bool = False,
        url: str | None = None,
    ) -> Job:
        """Accept a paid job.

        :param kind: ``create``, ``extend``, ``edit`` or ``remix``
        :param source: the video it starts from
        :param error: code and message with which it fails
        :param expired: whether its content expires as soon as it is done
        :param url: the URL of its content on another server
        """
        prompt = str(fields["prompt"])
        directive = _directive(prompt)
        job = Job(
            id=video_id or f"video_{secrets.token_hex(16)}",
            **self._times(stuck=directive == "stuck", expired=expired or directive == "expire"),
            prompt=prompt,
            model=str(fields.get("model") or (source.model if source else "sora-2")),
            seconds=_length(fields, kind, source),
            size=str(fields.get("size") or (source.size if source else "720x1280")),
            kind=kind,
            error=error or _FAILURES.get(directive),
            remixed_from=source.id if source and kind == "remix" else None,
            url=url,
            fields=fields,
        )
        self._jobs[job.id] = job
        self.creates += 1
        return job

    def _times(self, *, stuck: bool, expired: bool) -> dict[str, float]:
        created = self.now()
        started = created + self.timing.queued_seconds / self.speed
        ended = float("inf") if stuck else started + self.timing.render_seconds / self.speed
        expires = ended + (0.0 if expired else self.timing.retention_seconds / self.speed)
        return {"created_at": created, "started_at": started, "ended_at": ended, "expires_at": expires}

    def create_character(self, name: str) -> Character:
        """Create a character."""
        character = Character(f"char_{secrets.token_hex(12)}", name, self.now())
        self.characters[character.id] = character
        return character

    def get(self, job_id: str) -> Job | None:
        """The job with an id, or None."""
        return self._jobs.get(job_id)

    def delete(self, job_id: str) -> None:
        """Remove a job."""
        self._jobs.pop(job_id, None)

    def page(self, limit: int, order: str, after: str | None) -> tuple[list[Job], bool]:
        """One page of the list, and whether more pages follow."""
        jobs = list(self._jobs.values())
        if order == "desc":
            jobs.reverse()
        ids = [job.id for job in jobs]
        begin = ids.index(after) + 1 if after in ids else 0
        return jobs[begin : begin + limit], begin + limit < len(jobs)

    def all(self) -> list[Job]:
        """Every job, oldest first."""
        return list(self._jobs.values())


def _directive(prompt: str) -> str:
    found = DIRECTIVE.search(prompt)
    return found.group(1) if found else ""


def _length(fields: dict[str, Any], kind: str, source: Job | None) -> str:
    """The video's length; that of an extension is the length of the whole video."""
    requested = str(fields.get("seconds") or "4")
    if source is None:
        return requested
    return str(int(source.seconds) + int(requested)) if kind == "extend" else source.seconds
