"""Searches the server's list for the job of an earlier request: re-attach to it, or submit again?"""

from __future__ import annotations

from airflow_provider_sora.api.client import SoraClient
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.api.protocol.requests import JobRequest
from airflow_provider_sora.exceptions import SoraError, SoraResponseError, SoraUndecidedError
from airflow_provider_sora.submission import claims, lookup
from airflow_provider_sora.submission.attempt import Attempt
from airflow_provider_sora.submission.matching import (
    Ambiguous,
    Baseline,
    JobQuery,
    Match,
    MatchResult,
    NoMatch,
    match_jobs,
)
from airflow_provider_sora.submission.record import Fingerprint, Record, id_digest

# A request whose response was lost may reach the list late: the pause before each read, in seconds.
_PAUSES = (0.0, 2.0, 5.0, 3.0)
# If only the last read shows no match, one more read has to confirm it.
_CONFIRMATION_PAUSE = 2.0
# This long after the last pause two reads are enough, even if the intent's time is from another worker's clock.
_WORKER_CLOCK_SKEW_SECONDS = 120.0
# How often mapped tasks with the same prompt may be faster to claim a match.
_MAX_SEARCHES = 5


class Search:
    """The searches of one try."""

    def __init__(self, client: SoraClient, request: JobRequest, attempt: Attempt) -> None:
        self._client = client
        self._request = request
        self._attempt = attempt
        self._fingerprint = Fingerprint.of(request)

    def find(self, intent: Record) -> Video | None:
        """The job of an earlier request; None if the caller may submit again.

        :raises SoraUndecidedError: there may be a job
        :raises SoraError: the list cannot be read at the moment
        """
        for _ in range(_MAX_SEARCHES):
            result = self._match(intent)
            if isinstance(result, Ambiguous):
                return self._on_ambiguous(intent, result.reason)
            if isinstance(result, NoMatch):
                self._attempt.log("No job of an earlier request is on the server's list; submitting")
                return None
            video = self._reattach(intent, result)
            if video is not None:
                return video
            # Mapped tasks have claimed all of these meanwhile; the jobs that they left may be this task's.
        return self._on_ambiguous(intent, "mapped tasks with the same prompt claimed every job that was found")

    def _match(self, intent: Record) -> MatchResult:
        try:
            return self._poll_list(intent)
        except SoraError as error:
            if error.retryable and not isinstance(error, SoraResponseError):
                raise  # a server that is down for a moment proves nothing
            return NoMatch() if intent.refused_once else Ambiguous(f"the server's list cannot be read ({error})")

    def find_after_lost_response(self, intent: Record) -> Video | None:
        """The job of a request whose response was just lost; None leaves the decision to the next try."""
        try:
            result = self._poll_list(intent)
        except SoraError as error:
            self._attempt.log("The response was lost, and the server's list cannot be read: %s", error)
            return None
        return self._reattach(intent, result) if isinstance(result, Match) else None

    def record_and_claim(self, intent: Record, video: Video) -> Video | None:
        """Write the id of a job to the record and claim the job; None if a mapped task owns it."""
        self._attempt.save(intent.replace(video_id=video.id, stage="open"))
        if claims.acquire(self._attempt.claims, intent, [video], self._attempt.sleep) is not None:
            return video
        self._attempt.log("A mapped task with the same prompt has re-attached to video %s", video.id)
        self._attempt.save(intent)
        return None

    def _reattach(self, intent: Record, match: Match) -> Video | None:
        video = claims.acquire(self._attempt.claims, intent, match.videos, self._attempt.sleep)
        if video is None:
            return None
        self._attempt.log("Video %s is the job of an earlier request; re-attaching to it", video.id)
        self._attempt.save(intent.replace(video_id=video.id, stage="open"))
        return video

    def _on_ambiguous(self, intent: Record, reason: str) -> Video | None:
        """Raise, unless the user has chosen to submit again."""
        if self._attempt.was_cleared:
            self._attempt.log("Submitting a new job because the task was cleared; an earlier job may run: %s", reason)
            return None
        if self._attempt.on_ambiguous == "resubmit":
            self._attempt.log("Submitting again although an earlier request may have been accepted: %s", reason)
            return None
        self._attempt.save(intent.replace(stage="told"))
        raise SoraUndecidedError(
            f"an earlier try may have submitted this video, and {reason}. Nothing was submitted. "
            'Clear the task to submit a new job, or set on_ambiguous="resubmit" to risk paying twice'
        )

    def _poll_list(self, intent: Record) -> MatchResult:
        """What the list shows, read several times so that the server has time to show a new job.

        :raises SoraError: the list cannot be read
        """
        result: MatchResult = Ambiguous("the server's list was not read")
        for pause in _PAUSES:
            before = result
            result, is_shared = self._read_list(intent, pause)
            # Two reads, because one page that is empty by mistake ends the list of a server that has no `has_more`.
            is_confirmed = result == before == NoMatch()
            if isinstance(result, Match) or (is_confirmed and self._is_long_ago(intent) and not is_shared):
                return result
        if isinstance(result, NoMatch) and not is_confirmed:
            result, _ = self._read_list(intent, _CONFIRMATION_PAUSE)
        return result

    def _read_list(self, intent: Record, pause: float) -> tuple[MatchResult, bool]:
        """What one read of the list shows after a pause, and whether mapped tasks search for the same prompt."""
        self._attempt.sleep(pause)
        siblings = list(self._attempt.claims.siblings(intent.fingerprint.prompt.text))
        query = self._query(intent, siblings)
        return match_jobs(query, lookup.read_list(self._client, query, self._attempt.clock())), bool(siblings)

    def _is_long_ago(self, intent: Record) -> bool:
        return self._attempt.clock() >= intent.intended_at + sum(_PAUSES) + _WORKER_CLOCK_SKEW_SECONDS

    def _query(self, intent: Record, siblings: list[claims.Claim]) -> JobQuery:
        of_others = self._attempt.claims.jobs_of_others()
        excluded = set(intent.earlier_ids) | {id_digest(video_id) for video_id in self._request.source_ids()}
        excluded |= {id_digest(job.video_id) for job in of_others}
        excluded |= {earlier for sibling in siblings for earlier in sibling.earlier_ids}
        excluded |= {id_digest(sibling.video_id) for sibling in siblings if sibling.video_id and sibling.has_it}
        same_prompt = intent.fingerprint.prompt == self._fingerprint.prompt
        return JobQuery(
            intent.fingerprint,
            self._request.prompt if same_prompt else None,
            (
                Baseline(intent.intended_at, intent.snapshot),
                *(Baseline(sibling.intended_at, sibling.snapshot) for sibling in siblings),
            ),
            excluded,
            known_prompts={
                id_digest(job.video_id): job.prompt
                for job in of_others
                if job.prompt is not None and job.model == intent.fingerprint.model
            },
            refused_once=intent.refused_once,
            only_running=self._attempt.was_cleared,
            searching_tasks=1 + sum(not sibling.has_it for sibling in siblings),
        )
