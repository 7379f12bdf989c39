"""Which job on a server's list is the one that an earlier request made: pure, clockless.

A list is not a mirror of what was asked for: servers resolve models, round lengths and sizes, cut, rewrite or leave out
prompts, and show times of other clocks. So only a complete list with nothing new on it says that there is no job, and
only the same prompt on a job that is surely new says that there is one. All else is undecided.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from airflow_provider_sora.api.protocol.models import Video, VideoStatus
from airflow_provider_sora.submission.prompts import Likeness, PromptDigest, likeness
from airflow_provider_sora.submission.record import Fingerprint, Snapshot, id_digest, is_newest_first

# How far the clocks of workers, of a server's replicas and of what they write on jobs may be apart.
CLOCK_SLACK_SECONDS = 600.0
# Times on servers are whole seconds, and a clock is read before a request travels.
_ROUNDING_SECONDS = 2.0


@dataclass(frozen=True)
class Reading:
    """What a server's list shows.

    :param reaches: it was read as far as there can be anything new
    :param clock_offset_seconds: how far the server's clock is ahead of the worker's; None: it did not tell the time
    """

    videos: Sequence[Video]
    reaches: bool
    now: float
    clock_offset_seconds: float | None


@dataclass(frozen=True)
class Since:
    """From when on a job is new.

    :param at: unix seconds of the worker's clock
    :param snapshot: what was on the list then, where it could be read
    """

    at: float
    snapshot: Snapshot | None = None


@dataclass(frozen=True)
class Wanted:
    """The request whose job is looked for.

    :param prompt: its text, where that is known
    :param intents: since when the job can have been made: by this task, and by each sibling with the same prompt, for a
        sibling that took this task's job for its own leaves its own in its place
    :param not_it: digests of the ids of jobs that are surely not its own: its sources, earlier ones, other tasks'
    :param refused_once: all that the server ever said is one refusal (503 with ``Retry-After``): a job is the exception
    :param siblings: how many tasks look for a job of this prompt, this one included
    :param known: what jobs of the same model were asked for, by digests of their ids
    :param only_running: a finished video is not wanted
    """

    fingerprint: Fingerprint
    prompt: str | None
    intents: tuple[Since, ...]
    not_it: Collection[str] = frozenset()
    refused_once: bool = False
    siblings: int = 1
    known: Mapping[str, PromptDigest] = field(default_factory=dict)
    only_running: bool = False


@dataclass(frozen=True)
class Found:
    """Each of these may be taken: as many tasks look for one as there are, or more."""

    videos: tuple[Video, ...]


@dataclass(frozen=True)
class Nothing:
    """The request was not accepted."""


@dataclass(frozen=True)
class Undecided:
    """Nothing tells whether the request was accepted; `why` is a clause."""

    why: str


Decision = Found | Nothing | Undecided


class _Age(IntEnum):
    OLD = 0
    UNCLEAR = 1
    NEW = 2


def decide(wanted: Wanted, reading: Reading) -> Decision:
    """What the list says about the request."""
    same, unclear = _candidates(wanted, reading)
    best = _best(wanted.fingerprint, same)
    if best and len(best) <= wanted.siblings:
        return Found(tuple(best))
    if best:
        return Undecided(f"{len(best)} jobs on the server could be its own: {_ids(best)}")
    if unclear:
        return Undecided(f"it may be one of {len(unclear)} jobs that are new on the server: {_ids(unclear)}")
    if wanted.refused_once:
        return Nothing()
    return _nothing_new(wanted.intents[0].snapshot, reading)


def _nothing_new(snapshot: Snapshot | None, reading: Reading) -> Decision:
    if not reading.reaches:
        return Undecided("the server's list could not be read to its end")
    if not reading.videos:
        return Undecided("the server's list is empty, so that it does not show that it works")
    if snapshot and snapshot.ids and not snapshot.ids & {id_digest(video.id) for video in reading.videos}:
        return Undecided("the server's list shows nothing of what it showed before")
    return Nothing()


def _candidates(wanted: Wanted, reading: Reading) -> tuple[list[Video], list[Video]]:
    """The jobs with the prompt that are surely new, and those of which it is not clear whose or how old they are."""
    same: list[Video] = []
    unclear: list[Video] = []
    shows_prompts = wanted.refused_once or any(_proves_echo(wanted, video) for video in reading.videos)
    for video in reading.videos:
        age = _age(wanted, reading, video)
        if age is _Age.OLD or id_digest(video.id) in wanted.not_it or not _is_of_use(video, reading):
            continue
        if wanted.only_running and not video.status.is_running:
            continue
        like = likeness(wanted.fingerprint.prompt, wanted.prompt, video.prompt)
        if like is Likeness.SAME and age is _Age.NEW:
            same.append(video)
        elif like is not Likeness.OTHER or not shows_prompts:
            unclear.append(video)
    return same, unclear


def _proves_echo(wanted: Wanted, video: Video) -> bool:
    """Whether a job, however old, shows that this server shows prompts as they were sent: then others are others'."""
    known = wanted.known.get(id_digest(video.id))
    if known is not None and video.prompt is not None and known.is_shown_as(video.prompt):
        return True
    like = likeness(wanted.fingerprint.prompt, wanted.prompt, video.prompt)
    return like is Likeness.SAME and _agree(_model(video.model), _model(wanted.fingerprint.model)) is not False


def _age(wanted: Wanted, reading: Reading, video: Video) -> _Age:
    return max(_age_since(since, reading, video) for since in wanted.intents)


def _age_since(since: Since, reading: Reading, video: Video) -> _Age:
    by_clock, snapshot = _age_by_clock(since.at, reading, video), since.snapshot
    if snapshot is None:
        return by_clock
    if id_digest(video.id) in snapshot.ids:
        return _Age.OLD
    if snapshot.complete:
        # A list that shows what is older than the intent, and did not before, is not to be trusted.
        return _Age.UNCLEAR if by_clock is _Age.OLD else _Age.NEW
    if snapshot.newest_at is not None and snapshot.oldest_at is not None and video.created_at is not None:
        return _age_by_order(video.created_at, snapshot.newest_at, snapshot.oldest_at)
    return by_clock


def _age_by_clock(since: float, reading: Reading, video: Video) -> _Age:
    if reading.clock_offset_seconds is None or video.created_at is None:
        return _Age.UNCLEAR
    if video.created_at > reading.now + reading.clock_offset_seconds + CLOCK_SLACK_SECONDS:
        return _Age.UNCLEAR  # of the future: local time that was taken for UTC, for one
    begin = since + reading.clock_offset_seconds - _ROUNDING_SECONDS
    if video.created_at >= begin:
        return _Age.NEW
    return _Age.OLD if video.created_at < begin - CLOCK_SLACK_SECONDS else _Age.UNCLEAR


def _age_by_order(created_at: float, newest_at: float, oldest_at: float) -> _Age:
    """The age of what was not on a snapshot that held all between these times."""
    if created_at > oldest_at:
        return _Age.NEW
    return _Age.OLD if created_at < newest_at - CLOCK_SLACK_SECONDS else _Age.UNCLEAR


def reaches(wanted: Wanted, videos: Sequence[Video], clock_offset_seconds: float | None) -> bool:
    """Whether what follows these on a list that is sorted newest first is too old to matter."""
    if not is_newest_first(videos):
        return False
    reading = Reading(videos, reaches=False, now=float("inf"), clock_offset_seconds=clock_offset_seconds)
    return all(_age_by_time(since, reading, videos[-1]) is _Age.OLD for since in wanted.intents)


def _age_by_time(since: Since, reading: Reading, video: Video) -> _Age:
    """The age of what follows a job: its own place in the snapshot says nothing of that."""
    without_ids = since.snapshot and since.snapshot.model_copy(update={"ids": frozenset(), "complete": False})
    return _age_since(Since(since.at, without_ids), reading, video)


def is_of_use(video: Video, server_now: float) -> bool:
    """Whether a job is, or may become, a video that can be had."""
    if video.status is VideoStatus.COMPLETED:
        return not video.expires_at or video.expires_at > server_now
    return video.status.is_running


def _is_of_use(video: Video, reading: Reading) -> bool:
    return is_of_use(video, reading.now + (reading.clock_offset_seconds or 0.0))


def _best(fingerprint: Fingerprint, videos: list[Video]) -> list[Video]:
    """Those that agree most with what was asked for: model, length and size break ties, and never exclude."""
    scores = [_score(fingerprint, video) for video in videos]
    return [video for video, score in zip(videos, scores, strict=True) if score == max(scores)]


def _score(wanted: Fingerprint, video: Video) -> int:
    pairs = (
        (_model(video.model), _model(wanted.model)),
        (_seconds(video.seconds), _seconds(wanted.seconds)),
        (_size(video.size), _size(wanted.size)),
    )
    return sum(_agree(shown, asked) is True for shown, asked in pairs)


def _agree(shown: object, asked: object) -> bool | None:
    return None if shown is None or asked is None else shown == asked


def _model(text: str | None) -> str | None:
    """``openai/Wan`` is ``wan``."""
    return text.rpartition("/")[2].lower() if text else None


def _seconds(text: str | None) -> float | None:
    """``4``, ``4.00``, ``4s`` and ``4.0625`` are about the same."""
    found = re.match(r"\s*\d{1,6}(?:\.\d{1,9})?", text or "")
    return float(round(float(found[0]))) if found else None


def _size(text: str | None) -> tuple[int, ...] | None:
    """``64 x 64`` and ``64*64`` are the same."""
    return tuple(int(number) for number in re.findall(r"\d{1,6}", text)) if text else None


def _ids(videos: Sequence[Video]) -> str:
    shown = ", ".join(video.id[:100] for video in videos[:10])
    return f"{shown} and {len(videos) - 10} more" if len(videos) > 10 else shown
