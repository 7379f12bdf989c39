"""The record that a try leaves for the next one, in Airflow's task state store (Airflow 3.3 and later)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from airflow_provider_sora.api.protocol.ids import canonical_id
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.api.protocol.requests import CreateVideo, JobRequest
from airflow_provider_sora.exceptions import SoraUndecidedError
from airflow_provider_sora.submission.prompts import PromptDigest

VERSION = 1
# Eight different times are sorted by chance in one of 40 320 lists.
_MIN_TIMES_TO_BE_SORTED = 8
# A record and a claim are rows of Airflow's database, and some servers ignore the page length.
_MAX_IDS = 300


class Fingerprint(BaseModel):
    """What was asked for. Servers reword most of it on their lists: see `matching`.

    :param sources: digests of the ids of the videos that it is made from
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    prompt: PromptDigest
    sources: frozenset[str] = frozenset()
    model: str | None = None
    seconds: str | None = None
    size: str | None = None

    @classmethod
    def of(cls, request: JobRequest) -> Fingerprint:
        """The fingerprint of a request."""
        asked = request.fields()
        # For an extension or an edit servers show the length and size of the whole video, not those asked for.
        names = ("model", "seconds", "size") if isinstance(request, CreateVideo) else ()
        sources = frozenset(id_digest(source) for source in request.source_ids())
        return cls(prompt=PromptDigest.of(request.prompt), sources=sources, **{name: asked.get(name) for name in names})


class Snapshot(BaseModel):
    """The first page of the server's list before a request was sent: none of these jobs can be the request's.

    :param ids: digests of the ids
    :param complete: there were no further pages
    :param newest_at: unix seconds by the server's clock, if the page was sorted newest first
    :param oldest_at: the same for the last job of the page: older jobs were on the pages behind it
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    ids: frozenset[str] = frozenset()
    complete: bool = False
    newest_at: int | None = None
    oldest_at: int | None = None

    @classmethod
    def of(cls, videos: Sequence[Video], *, complete: bool) -> Snapshot:
        """The snapshot of a page; only of its beginning if it is longer than a record may hold."""
        complete = complete and len(videos) <= _MAX_IDS
        videos = videos[:_MAX_IDS]
        ids = frozenset(id_digest(video.id) for video in videos)
        complete = complete and bool(ids)  # an empty list may be one that does not work
        if not is_newest_first(videos):
            return cls(ids=ids, complete=complete)
        return cls(ids=ids, complete=complete, newest_at=videos[0].created_at, oldest_at=videos[-1].created_at)


def id_digest(video_id: str) -> str:
    """An id in 16 characters; the same for all ids of one job (`canonical_id`)."""
    return hashlib.sha256(canonical_id(video_id).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def is_newest_first(videos: Sequence[Video]) -> bool:
    """Whether the times on a list prove that it is sorted; a few jobs, or jobs without times, prove nothing."""
    times = [video.created_at for video in videos]
    known = [time for time in times if time is not None]
    is_sorted = known == sorted(known, reverse=True)
    return len(known) == len(times) and len(set(known)) >= _MIN_TIMES_TO_BE_SORTED and is_sorted


# How far a job has come, which decides what a Clear does with it: see the table in `protocol`.
Stage = Literal["open", "waiting", "told", "done"]


class Record(BaseModel):
    """One submission, as far as it has come. Without a video id it is an intent.

    :param generation: that of the try that wrote it (`Attempt`)
    :param fingerprint: of what was sent; a later try may render another prompt, and still has to find this job
    :param intended_at: unix seconds of the worker's clock, read before the first POST
    :param snapshot: None if the server's list could not be read before the POST
    :param earlier_ids: digests of the ids of this task's earlier jobs
    :param refusals: how often the server has answered 503 with ``Retry-After`` to this intent
    :param refused: so was the latest response: most likely there is no job
    :param video_id: the accepted job; None until the id is known
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: int = VERSION
    generation: int
    fingerprint: Fingerprint
    intended_at: float
    snapshot: Snapshot | None = None
    earlier_ids: frozenset[str] = frozenset()
    refusals: int = 0
    refused: bool = False
    video_id: str | None = None
    stage: Stage = "open"

    @property
    def refused_once(self) -> bool:
        """Whether a single refusal is the only response so far."""
        return self.refused and self.refusals == 1

    def replace(self, **changes: Any) -> Record:
        """A copy with these fields changed."""
        return self.model_copy(update=changes)


class StateStore(Protocol):
    """A store that outlives the process: Airflow's task state store."""

    def get(self, key: str) -> Any:
        """The value, or None."""

    def set(self, key: str, value: dict[str, Any]) -> None:
        """Store a value."""

    def delete(self, key: str) -> None:
        """Delete a value."""


def load(store: StateStore, key: str) -> Record | None:
    """The record of an earlier try.

    :raises SoraUndecidedError: the value is no record; submitting a new job could pay for a video twice
    """
    value = store.get(key)
    if value is None:
        return None
    version = value.get("version") if isinstance(value, dict) else None
    if isinstance(version, int) and version > VERSION:
        raise _unreadable(
            key, f"a record of version {version}, and this package reads versions up to {VERSION}: upgrade the package"
        )
    try:
        return Record.model_validate(value)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'value'}: {e['msg']}" for e in error.errors()[:3])
        raise _unreadable(key, f"a value that is no record of this package ({wrong})") from None


def save(store: StateStore, key: str, record: Record) -> None:
    """Write a record."""
    store.set(key, record.model_dump(mode="json"))


def _unreadable(key: str, what: str) -> SoraUndecidedError:
    return SoraUndecidedError(
        f"the task state store holds under {key!r} {what}. An earlier try may have paid for this video, so nothing was "
        "submitted. To submit a new job, delete that key of the task's state and clear the task"
    )
