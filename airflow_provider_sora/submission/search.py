"""Looking for the job of an earlier request on the server's list."""

from __future__ import annotations

from airflow_provider_sora.api.client import SoraClient
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.api.protocol.requests import JobRequest
from airflow_provider_sora.exceptions import SoraError, SoraResponseError, SoraUndecidedError
from airflow_provider_sora.submission import claims, lookup
from airflow_provider_sora.submission.attempt import Attempt
from airflow_provider_sora.submission.matching import (
    Decision,
    Found,
    Nothing,
    Reading,
    Since,
    Undecided,
    Wanted,
    decide,
)
from airflow_provider_sora.submission.record import Fingerprint, Record, id_digest

# A request that got no answer may still be on its way into the list: pauses between looking at it, in seconds.
_PAUSES = (0.0, 2.0, 5.0, 3.0)
# A list that showed something until now, and shows nothing at last, is read again.
_PAUSES_TO_BE_SURE = (2.0, 2.0)
# After this much more one look is enough, whichever workers' clocks the times are from.
_WORKER_CLOCKS_SECONDS = 120.0
# So often may siblings be faster.
_MOST_LOOKS = 5


class Search:
    """What one try does to find its job."""

    def __init__(self, client: SoraClient, request: JobRequest, attempt: Attempt) -> None:
        self._client = client
        self._request = request
        self._attempt = attempt
        self._fingerprint = Fingerprint.of(request)

    def find(self, intent: Record) -> Video | None:
        """The job of an earlier request; None where there is none, or where it is to be submitted anyway.

        :raises SoraUndecidedError: there may be one
        :raises SoraError: the list cannot be read at the moment
        """
        for _ in range(_MOST_LOOKS):
            decision = self._decide(intent)
            if isinstance(decision, Undecided):
                return self._undecided(intent, decision.why)
            if isinstance(decision, Nothing):
                self._attempt.log("An earlier request left no job on the server: submitting")
                return None
            video = self._take(intent, decision)
            if video is not None:
                return video
            # Siblings have taken all of these meanwhile: what they left may be its own.
        return self._undecided(intent, "mapped siblings with the same prompt kept taking what was found")

    def _decide(self, intent: Record) -> Decision:
        try:
            return self._look_up(intent)
        except SoraError as error:
            if error.retryable and not isinstance(error, SoraResponseError):
                raise  # a server that is down for a moment decides nothing
            return Nothing() if intent.refused_once else Undecided(f"the server's list does not tell ({error})")

    def find_now(self, intent: Record) -> Video | None:
        """The job of a request whose answer was just lost; None leaves it to the next try."""
        try:
            decision = self._look_up(intent)
        except SoraError as error:
            self._attempt.log("The answer was lost, and the server's list cannot be read: %s", error)
            return None
        return self._take(intent, decision) if isinstance(decision, Found) else None

    def accept(self, intent: Record, video: Video) -> Video | None:
        """Remember and claim a job; None where a mapped sibling has it."""
        self._attempt.save(intent.but(video_id=video.id, stage="open"))
        if claims.take(self._attempt.claims, intent, [video], self._attempt.sleep) is not None:
            return video
        self._attempt.log("A mapped sibling with the same prompt has re-attached to video %s", video.id)
        self._attempt.save(intent)
        return None

    def _take(self, intent: Record, found: Found) -> Video | None:
        video = claims.take(self._attempt.claims, intent, found.videos, self._attempt.sleep)
        if video is None:
            return None
        self._attempt.log("Video %s is the job of an earlier request: re-attaching to it", video.id)
        self._attempt.save(intent.but(video_id=video.id, stage="open"))
        return video

    def _undecided(self, intent: Record, why: str) -> Video | None:
        """Raises, unless a new job is to be submitted all the same."""
        if self._attempt.was_cleared:
            self._attempt.log("Submitting a new job, for the task was cleared; an earlier one may run (%s)", why)
            return None
        if self._attempt.on_ambiguous == "resubmit":
            self._attempt.log("Submitting although an earlier request may have been accepted: %s", why)
            return None
        self._attempt.save(intent.but(stage="told"))
        raise SoraUndecidedError(
            f"an earlier try may have submitted this video, and {why}. Nothing was submitted. "
            'Clear the task to make a new video, or set on_ambiguous="resubmit" to risk paying twice'
        )

    def _look_up(self, intent: Record) -> Decision:
        """What the list says, looked at again until it has had time to show a job.

        :raises SoraError: it cannot be read
        """
        before: Decision = Nothing()
        decision: Decision = Undecided("the server's list was not read")
        for number, pause in enumerate((*_PAUSES, *_PAUSES_TO_BE_SURE)):
            if number >= len(_PAUSES) and (not isinstance(decision, Nothing) or decision == before):
                break
            self._attempt.sleep(pause)
            siblings = self._siblings(intent)
            wanted = self._wanted(intent, siblings)
            before, decision = decision, decide(wanted, self._read(wanted))
            # One page that is empty by mistake ends the list of a server that does not say where it ends.
            is_sure = decision == before == Nothing() and self._is_long_ago(intent) and not siblings
            if isinstance(decision, Found) or is_sure:
                return decision
        if isinstance(decision, Nothing) and decision != before:
            return Undecided("the server's list showed nothing new only the last time")
        return decision

    def _read(self, wanted: Wanted) -> Reading:
        return lookup.read_list(self._client, wanted, self._attempt.clock())

    def _is_long_ago(self, intent: Record) -> bool:
        return self._attempt.clock() >= intent.intended_at + sum(_PAUSES) + _WORKER_CLOCKS_SECONDS

    def _siblings(self, intent: Record) -> list[claims.Claim]:
        return list(self._attempt.claims.siblings(intent.fingerprint.prompt.text))

    def _wanted(self, intent: Record, siblings: list[claims.Claim]) -> Wanted:
        taken = self._attempt.claims.taken()
        not_it = set(intent.earlier_ids) | {id_digest(video_id) for video_id in self._request.source_ids()}
        not_it |= {id_digest(job.video_id) for job in taken}
        not_it |= {earlier for sibling in siblings for earlier in sibling.earlier_ids}
        not_it |= {id_digest(sibling.video_id) for sibling in siblings if sibling.video_id and sibling.has_it}
        same_prompt = intent.fingerprint.prompt == self._fingerprint.prompt
        return Wanted(
            intent.fingerprint,
            self._request.prompt if same_prompt else None,
            (
                Since(intent.intended_at, intent.snapshot),
                *(Since(sibling.intended_at, sibling.snapshot) for sibling in siblings),
            ),
            not_it,
            known={
                id_digest(job.video_id): job.prompt
                for job in taken
                if job.prompt is not None and job.model == intent.fingerprint.model
            },
            refused_once=intent.refused_once,
            only_running=self._attempt.was_cleared,
            siblings=1 + sum(not sibling.has_it for sibling in siblings),
        )
