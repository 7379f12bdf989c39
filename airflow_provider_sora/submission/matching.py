"""Matches the jobs on a server's list with an earlier request: may it be submitted again? No I/O, no clock.

A list does not repeat what was asked for: servers resolve models, round lengths and sizes, truncate, rewrite or omit
prompts, and state times of other clocks. So there are three results:

| result      | proved by                                           | what `search` does with it                      |
|-------------|-----------------------------------------------------|-------------------------------------------------|
| `Match`     | a job that is certainly new and has the same prompt | re-attach to it                                 |
| `NoMatch`   | a complete list without a job that may be its own   | submit again, if further reads confirm it       |
| `Ambiguous` | none of these                                       | not submit again, unless the user has chosen to |
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from airflow_provider_sora.api.protocol.models import Video, VideoStatus
from airflow_provider_sora.submission.prompts import PromptDigest, PromptMatch, compare_prompts
from airflow_provider_sora.submission.record import Fingerprint, Snapshot, id_digest, is_newest_first

# How far the clocks of workers, of a server's replicas, and the times that they write on jobs may be apart.
CLOCK_SLACK_SECONDS = 600.0
# Servers state whole seconds, and the worker's clock is read before the request is sent.
_ROUNDING_SECONDS = 2.0


@dataclass(frozen=True)
class ListObservation:
    """What one read of a server's list showed.

    :param covers_new_jobs: the list was read as far as it can hold new jobs
    :param now: unix seconds of the worker's clock
    :param clock_offset_seconds: how far the server's clock is ahead of the worker's; None if it states no time
    """

    videos: Sequence[Video]
    covers_new_jobs: bool
    now: float
    clock_offset_seconds: float | None


@dataclass(frozen=True)
class Baseline:
    """What was there before a request was sent: other jobs are new.

    :param intended_at: unix seconds of the worker's clock
    :param snapshot: what the list showed then; None if it could not be read
    """

    intended_at: float
    snapshot: Snapshot | None = None


@dataclass(frozen=True)
class JobQuery:
    """The request whose job is searched for.

    :param prompt: the text of its prompt, if it is known
    :param baselines: one of this task, and one of each mapped task with the same prompt: a mapped task that re-attached
        to this task's job leaves its own to this task
    :param excluded_ids: digests of the ids of its sources, of the task's earlier jobs and of other tasks' jobs
    :param refused_once: the server's only response was one refusal (503 with ``Retry-After``), so a job is unlikely
    :param searching_tasks: how many tasks search for a job with this prompt, this one included
    :param known_prompts: the prompts of other jobs of the same model, by digests of the jobs' ids
    :param only_running: do not match finished videos
    """

    fingerprint: Fingerprint
    prompt: str | None
    baselines: tuple[Baseline, ...]
    excluded_ids: Collection[str] = frozenset()
    refused_once: bool = False
    searching_tasks: int = 1
    known_prompts: Mapping[str, PromptDigest] = field(default_factory=dict)
    only_running: bool = False


@dataclass(frozen=True)
class Match:
    """The request was accepted. Any of these jobs will do: there are no more than tasks that search for one."""

    videos: tuple[Video, ...]


@dataclass(frozen=True)
class NoMatch:
    """The list shows that the request was not accepted."""


@dataclass(frozen=True)
class Ambiguous:
    """The list does not show whether the request was accepted; `reason` is a clause."""

    reason: str


MatchResult = Match | NoMatch | Ambiguous


class _Age(IntEnum):
    """Whether a job was created after the request was sent."""

    OLD = 0
    UNCLEAR = 1
    NEW = 2


def match_jobs(query: JobQuery, observation: ListObservation) -> MatchResult:
    """What a read of the list shows about the request."""
    same, unclear = _candidates(query, observation)
    best = _best_matches(query.fingerprint, same)
    if best and len(best) <= query.searching_tasks:
        return Match(tuple(best))
    if best:
        return Ambiguous(f"{len(best)} new jobs on the server have its prompt: {_ids(best)}")
    if unclear:
        return Ambiguous(f"one of these jobs on the server may be its own: {_ids(unclear)}")
    if query.refused_once:
        return NoMatch()
    return _without_candidates(query.baselines[0].snapshot, observation)


def _without_candidates(snapshot: Snapshot | None, observation: ListObservation) -> MatchResult:
    """Whether a list that shows no candidate can be believed."""
    if not observation.covers_new_jobs:
        return Ambiguous("the server's list could not be read to its end")
    if not observation.videos:
        return Ambiguous("the server's list is empty, so it may not work")
    if snapshot and snapshot.ids and not snapshot.ids & {id_digest(video.id) for video in observation.videos}:
        return Ambiguous("the server's list no longer shows any job that it showed before")
    return NoMatch()


def _candidates(query: JobQuery, observation: ListObservation) -> tuple[list[Video], list[Video]]:
    """The jobs that are certainly new and have the prompt, and those whose age or prompt is unclear."""
    same: list[Video] = []
    unclear: list[Video] = []
    shows_prompts = query.refused_once or any(_proves_exact_prompts(query, video) for video in observation.videos)
    for video in observation.videos:
        age = _age(query, observation, video)
        if age is _Age.OLD or id_digest(video.id) in query.excluded_ids or not _was_usable(video, observation):
            continue
        if query.only_running and not video.status.is_running:
            continue
        compared = compare_prompts(query.fingerprint.prompt, query.prompt, video.prompt)
        if compared is PromptMatch.SAME and age is _Age.NEW:
            same.append(video)
        elif compared is not PromptMatch.DIFFERENT or not shows_prompts:
            unclear.append(video)
    return same, unclear


def _proves_exact_prompts(query: JobQuery, video: Video) -> bool:
    """Whether a job, however old, proves that the server shows prompts as they were sent.

    Only on such a server is a job with a different prompt another task's job.
    """
    known = query.known_prompts.get(id_digest(video.id))
    if known is not None and video.prompt is not None and known.matches(video.prompt):
        return True
    compared = compare_prompts(query.fingerprint.prompt, query.prompt, video.prompt)
    has_model = _agree(_model(video.model), _model(query.fingerprint.model)) is not False
    return compared is PromptMatch.SAME and has_model


def _age(query: JobQuery, observation: ListObservation, video: Video) -> _Age:
    return max(_age_since(baseline, observation, video) for baseline in query.baselines)


def _age_since(baseline: Baseline, observation: ListObservation, video: Video) -> _Age:
    by_clock, snapshot = _age_by_clock(baseline.intended_at, observation, video), baseline.snapshot
    if snapshot is None:
        return by_clock
    if id_digest(video.id) in snapshot.ids:
        return _Age.OLD
    if snapshot.complete:
        # A list that did not show an old job before and shows it now is not to be trusted.
        return _Age.UNCLEAR if by_clock is _Age.OLD else _Age.NEW
    if snapshot.newest_at is not None and snapshot.oldest_at is not None and video.created_at is not None:
        return _age_by_order(video.created_at, snapshot.newest_at, snapshot.oldest_at)
    return by_clock


def _age_by_clock(intended_at: float, observation: ListObservation, video: Video) -> _Age:
    if observation.clock_offset_seconds is None or video.created_at is None:
        return _Age.UNCLEAR
    if video.created_at > observation.now + observation.clock_offset_seconds + CLOCK_SLACK_SECONDS:
        return _Age.UNCLEAR  # a time in the future, such as local time that was read as UTC
    begin = intended_at + observation.clock_offset_seconds - _ROUNDING_SECONDS
    if video.created_at >= begin:
        return _Age.NEW
    return _Age.OLD if video.created_at < begin - CLOCK_SLACK_SECONDS else _Age.UNCLEAR


def _age_by_order(created_at: float, newest_at: float, oldest_at: float) -> _Age:
    """The age of a job that is missing from a snapshot which held all jobs between these times."""
    if created_at > oldest_at:
        return _Age.NEW
    return _Age.OLD if created_at < newest_at - CLOCK_SLACK_SECONDS else _Age.UNCLEAR


def covers_new_jobs(query: JobQuery, videos: Sequence[Video], clock_offset_seconds: float | None) -> bool:
    """Whether these jobs begin a list sorted newest first, and whatever follows them on it is old."""
    if not is_newest_first(videos):
        return False
    observation = ListObservation(
        videos, covers_new_jobs=False, now=float("inf"), clock_offset_seconds=clock_offset_seconds
    )
    return all(_age_of_what_follows(baseline, observation, videos[-1]) is _Age.OLD for baseline in query.baselines)


def _age_of_what_follows(baseline: Baseline, observation: ListObservation, video: Video) -> _Age:
    """The age of the jobs behind this one, by its time only: its id in the snapshot proves nothing about them."""
    without_ids = baseline.snapshot and baseline.snapshot.model_copy(update={"ids": frozenset(), "complete": False})
    return _age_since(Baseline(baseline.intended_at, without_ids), observation, video)


def is_usable(video: Video, server_now: float) -> bool:
    """Whether a job has a video that can be downloaded, or may still get one."""
    if video.status is VideoStatus.COMPLETED:
        return not video.expires_at or video.expires_at > server_now
    return video.status.is_running


def _was_usable(video: Video, observation: ListObservation) -> bool:
    return is_usable(video, observation.now + (observation.clock_offset_seconds or 0.0))


def _best_matches(fingerprint: Fingerprint, videos: list[Video]) -> list[Video]:
    """The jobs that agree most with what was asked for: model, length and size break ties, and exclude nothing."""
    scores = [_score(fingerprint, video) for video in videos]
    return [video for video, score in zip(videos, scores, strict=True) if score == max(scores)]


def _score(asked: Fingerprint, video: Video) -> int:
    pairs = (
        (_model(video.model), _model(asked.model)),
        (_seconds(video.seconds), _seconds(asked.seconds)),
        (_size(video.size), _size(asked.size)),
    )
    return sum(_agree(shown, value) is True for shown, value in pairs)


def _agree(shown: object, asked: object) -> bool | None:
    return None if shown is None or asked is None else shown == asked


def _model(text: str | None) -> str | None:
    """``openai/Wan`` and ``wan`` are the same."""
    return text.rpartition("/")[2].lower() if text else None


def _seconds(text: str | None) -> float | None:
    """``4``, ``4.00``, ``4s`` and ``4.0625`` are the same."""
    found = re.match(r"\s*\d{1,6}(?:\.\d{1,9})?", text or "")
    return float(round(float(found[0]))) if found else None


def _size(text: str | None) -> tuple[int, ...] | None:
    """``64 x 64`` and ``64*64`` are the same."""
    return tuple(int(number) for number in re.findall(r"\d{1,6}", text)) if text else None


def _ids(videos: Sequence[Video]) -> str:
    shown = ", ".join(video.id[:100] for video in videos[:10])
    return f"{shown} and {len(videos) - 10} more" if len(videos) > 10 else shown
