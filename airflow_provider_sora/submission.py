"""Submit once: remember, re-attach, adopt.

A paid request is sent only where no earlier one can have been accepted. What an earlier try did is known from the
record it left (Airflow 3.3 and later), or found out from the server's list. At each point the process may die:

    intent written - POST - accepted by the server - id written - waiting

Dying before the POST leaves an intent that matches no job; after it, an intent whose job is on the list; later, an id.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from airflow_provider_sora.api.client import SoraClient
from airflow_provider_sora.api.errors import is_no_route
from airflow_provider_sora.api.models import Video, VideoStatus
from airflow_provider_sora.api.requests import CreateVideo, ListVideos, Request, RetrieveVideo
from airflow_provider_sora.exceptions import (
    SoraAmbiguousError,
    SoraAnswerError,
    SoraConnectionError,
    SoraError,
    SoraNotFoundError,
    SoraServerError,
    SoraUndecidedError,
)

OnAmbiguous = Literal["fail", "submit"]

# Times on servers are whole seconds, and a clock is read before a request travels. A later try may run on another
# worker, whose clock is another one.
_SLACK_SECONDS = 2.0
_SLACK_BETWEEN_WORKERS_SECONDS = 60.0
# A request that got no answer may still be on its way into the list: when to look, in seconds after the failure.
_LOOKS_AFTER_FAILURE = (0.0, 2.0, 5.0)


class Fingerprint(BaseModel):
    """What a server shows of a request on its list; the prompt as a digest, for it may be long and private."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    prompt_sha256: str
    model: str | None = None
    seconds: str | None = None
    size: str | None = None

    @classmethod
    def of(cls, request: Request[Video]) -> Fingerprint:
        """The fingerprint of a request."""
        asked = request.fields()
        # What an extension or an edit shows as length and size is that of the whole, not what was asked for.
        names = ("model", "seconds", "size") if isinstance(request, CreateVideo) else ()
        return cls(prompt_sha256=_digest(asked["prompt"]), **{name: asked.get(name) for name in names})

    def fits(self, video: Video) -> bool:
        """Whether a video on the list can be what was asked for."""
        if video.prompt is None or _digest(video.prompt) != self.prompt_sha256:
            return False
        pairs = ((video.model, self.model), (video.seconds, self.seconds), (video.size, self.size))
        return all(shown is None or wanted is None or _plain(shown) == _plain(wanted) for shown, wanted in pairs)


def _digest(text: str) -> str:
    return hashlib.sha256(text.strip().encode()).hexdigest()


def _plain(value: str) -> str:
    """A value without what servers change in it: ``openai/m`` is ``m``, ``8.0`` is ``8``, ``64X64`` is ``64x64``."""
    text = value.rpartition("/")[2].lower()
    return text.removesuffix(".0")


class Record(BaseModel):
    """What a try leaves for the next one.

    :param generation: tells a retry from a cleared task, which is to make a new video
    :param fingerprint: of what was sent; a later try may render another prompt, and still has to find this one's job
    :param intended_at: unix seconds of the worker's clock, read before the POST
    :param video_id: the accepted job; None from the intent until then
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    generation: int
    fingerprint: Fingerprint
    intended_at: float
    video_id: str | None = None


class Store(Protocol):
    """What outlives the process: Airflow's task state store, or nothing."""

    def get(self, key: str) -> Any:
        """The value, or None."""

    def set(self, key: str, value: dict[str, Any]) -> None:
        """Remember a value."""

    def delete(self, key: str) -> None:
        """Forget a value."""


@dataclass(frozen=True)
class Attempt:
    """Which try this is, and what it may know of others.

    :param store: None before Airflow 3.3
    :param key: names the job in the store, one for each step of a task
    :param since: unix seconds since when an earlier try without a record can have submitted; None: there was none
    :param has_a_retry: another try is to come should this one fail
    :param reuse: take what a cleared try left
    :param claimed: the ids of jobs that belong to other tasks
    """

    store: Store | None = None
    key: str = "sora_video_0"
    generation: int = 0
    since: float | None = None
    reuse: bool = False
    on_ambiguous: OnAmbiguous = "fail"
    has_a_retry: bool = False
    claimed: Callable[[], Collection[str]] = tuple
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    say: Callable[..., None] = field(default=lambda *_: None)


def submit_once(client: SoraClient, request: Request[Video], attempt: Attempt) -> Video:
    """The job for a request: an earlier try's where there is one, otherwise a new one.

    :raises SoraUndecidedError: an earlier request may have been accepted, and nothing tells whether it was
    :raises SoraError: the server refuses, or cannot be reached
    """
    record = _recall(attempt)
    if record is not None and record.video_id is not None:
        video = _take_up(client, record.video_id, attempt)
    elif record is not None:
        video = _find(client, record.fingerprint, record.intended_at, attempt)
    elif attempt.since is not None:
        video = _find(client, Fingerprint.of(request), attempt.since, attempt)
    else:
        video = None
    if video is None:
        return _submit(client, request, attempt)
    _remember(attempt, request, video.id)
    return video


def _recall(attempt: Attempt) -> Record | None:
    value = attempt.store.get(attempt.key) if attempt.store else None
    if not isinstance(value, dict):
        return None
    record = Record.model_validate(value)
    if record.generation != attempt.generation and not attempt.reuse:
        attempt.say("The task was cleared: making a new video, not taking %s", record.video_id or "an earlier one")
        return None
    return record


def _remember(attempt: Attempt, request: Request[Video], video_id: str | None) -> None:
    if attempt.store is not None:
        record = Record(
            generation=attempt.generation,
            fingerprint=Fingerprint.of(request),
            intended_at=attempt.clock(),
            video_id=video_id,
        )
        attempt.store.set(attempt.key, record.model_dump(mode="json"))


def _take_up(client: SoraClient, video_id: str, attempt: Attempt) -> Video | None:
    video = _look(client, video_id, attempt)
    if video is None:
        attempt.say("Video %s of an earlier try is gone from the server: making it anew", video_id)
        return None
    if _is_of_use(video, attempt.clock() + client.clock_offset_seconds):
        attempt.say("Video %s of an earlier try is %s: taking it up again", video_id, video.status.value)
        return video
    attempt.say("Video %s of an earlier try has %s: making it anew", video_id, _why_not(video))
    return None


def _look(client: SoraClient, video_id: str, attempt: Attempt) -> Video | None:
    """A remembered job; None once the server has said several times, of the video itself, that it is gone."""
    for pause in (2.0, 5.0, 0.0):
        try:
            return client.send(RetrieveVideo(video_id=video_id))
        except SoraNotFoundError as error:
            if is_no_route(error.detail):
                raise SoraConnectionError(
                    f"{error}: the server is not itself; video {video_id} may still be there"
                ) from error
            attempt.sleep(pause)
    return None


def _is_of_use(video: Video, now: float) -> bool:
    if video.status is VideoStatus.COMPLETED:
        return not video.expires_at or video.expires_at > now
    return video.status.is_running


def _why_not(video: Video) -> str:
    return "expired" if video.status is VideoStatus.COMPLETED else video.status.value


def _submit(client: SoraClient, request: Request[Video], attempt: Attempt) -> Video:
    # A process that has outlived its worker cannot write this any more, and so does not come to the POST.
    intended_at = attempt.clock()
    before = attempt.store.get(attempt.key) if attempt.store else None
    _remember(attempt, request, None)
    try:
        video = client.send(request)
    except SoraError as error:
        if not _may_have_been_accepted(error):
            _take_back(attempt, before)
            raise
        found = _find_after_failure(client, Fingerprint.of(request), intended_at, attempt)
        if found is None:
            raise
        video = found
    _remember(attempt, request, video.id)
    return video


def _take_back(attempt: Attempt, before: Any) -> None:
    if attempt.store is None:
        return
    if isinstance(before, dict):
        attempt.store.set(attempt.key, before)
    else:
        attempt.store.delete(attempt.key)


def _may_have_been_accepted(error: SoraError) -> bool:
    if isinstance(error, SoraServerError):
        return error.status_code != 503 or error.retry_after_seconds is None
    return isinstance(error, SoraAmbiguousError | SoraAnswerError)


def _find_after_failure(client: SoraClient, fingerprint: Fingerprint, since: float, attempt: Attempt) -> Video | None:
    waited = 0.0
    for moment in _LOOKS_AFTER_FAILURE:
        attempt.sleep(moment - waited)
        waited = moment
        try:
            candidates = _candidates(client, fingerprint, since, attempt)
        except SoraError:
            return None  # the next try looks again, and decides
        if len(candidates) == 1:
            attempt.say("The answer was lost, but the server has the job: taking up video %s", candidates[0].id)
            return candidates[0]
    return None


def _find(client: SoraClient, fingerprint: Fingerprint, since: float, attempt: Attempt) -> Video | None:
    """The job of an earlier try that left no id; None where there is none, or where it is to be submitted anyway."""
    try:
        candidates = _candidates(client, fingerprint, since - _SLACK_BETWEEN_WORKERS_SECONDS, attempt)
    except SoraError as error:
        if error.retryable and not isinstance(error, SoraAnswerError):
            raise  # a server that is down for a moment decides nothing
        _undecided(attempt, f"the server's list does not tell ({error})")
        return None
    if len(candidates) > 1:
        ids = ", ".join(video.id for video in candidates)
        _undecided(attempt, f"{len(candidates)} jobs on the server could be its own: {ids}")
        return None
    if not candidates:
        attempt.say("An earlier try left no job on the server: submitting")
        return None
    attempt.say("Video %s is the job of an earlier try: taking it up", candidates[0].id)
    return candidates[0]


def _undecided(attempt: Attempt, why: str) -> None:
    if attempt.on_ambiguous == "fail":
        raise SoraUndecidedError(
            f"an earlier try may have submitted this video, and {why}. Nothing was submitted. "
            'Clear the task to make a new video, or set on_ambiguous="submit" to risk paying twice'
        )
    attempt.say("Submitting although an earlier try may have done so: %s", why)


def _candidates(client: SoraClient, fingerprint: Fingerprint, since: float, attempt: Attempt) -> list[Video]:
    """The jobs on the list that can have been started since then, running or finished.

    :raises SoraAnswerError: the list does not show prompts, so that nothing can be told from it
    """
    claimed = frozenset(attempt.claimed())
    found: list[Video] = []
    shows_prompts, is_empty = False, True
    for video in client.list_videos(ListVideos(limit=100, order="desc")):
        begin = since + client.clock_offset_seconds - _SLACK_SECONDS
        if video.created_at is not None and video.created_at < begin:
            continue  # not an end: not every server sorts
        is_empty = False
        shows_prompts = shows_prompts or video.prompt is not None
        now = attempt.clock() + client.clock_offset_seconds
        if video.id not in claimed and fingerprint.fits(video) and _is_of_use(video, now):
            found.append(video)
    if not is_empty and not shows_prompts:
        raise SoraAnswerError("GET /videos shows no prompts")
    return found
