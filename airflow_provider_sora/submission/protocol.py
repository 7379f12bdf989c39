"""The protocol of a submission. A paid request is sent only where no earlier one can have been accepted.

What an earlier try did is known from its record (Airflow 3.3 and later), or found out from the server's list. At each
point the process may die:

    snapshot of the list - intent written - POST - accepted by the server - id written - claimed - waiting

| state                     | on the server             | what happens                                               |
|---------------------------|---------------------------|------------------------------------------------------------|
| no record                 |                           | submit                                                     |
| id                        | running or finished       | reconnect                                                  |
| id                        | failed, expired, gone     | submit a new job                                           |
| intent                    | one new job is its own    | re-attach                                                  |
| intent                    | nothing new, list is sure | submit again, under the same intent                        |
| intent                    | not to be told            | `SoraUndecidedError`                                       |

A cleared task makes of it, by the stage that the record has:

| stage   | reached when                                          | a Clear                                        |
|---------|-------------------------------------------------------|------------------------------------------------|
| open    | the intent is written                                 | goes on as above, if the prompt is the same    |
| waiting | the job is waited for in the triggerer                | takes a finished video, or submits a new job   |
| told    | `SoraUndecidedError` was raised                       | submits a new job                              |
| done    | the video, or an error of the job, was handed on      | submits a new job                              |
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from airflow_provider_sora.api.client import SoraClient
from airflow_provider_sora.api.decisions.acceptance import Acceptance, acceptance_of
from airflow_provider_sora.api.protocol.models import Video, VideoStatus
from airflow_provider_sora.api.protocol.requests import JobRequest
from airflow_provider_sora.exceptions import (
    SoraConnectionError,
    SoraError,
    SoraStatusError,
    SoraUndecidedError,
)
from airflow_provider_sora.submission import claims, lookup, record
from airflow_provider_sora.submission.attempt import Attempt
from airflow_provider_sora.submission.reconnect import reconnect, retrieve
from airflow_provider_sora.submission.record import Fingerprint, Record, id_digest
from airflow_provider_sora.submission.search import Search

_MAX_REFUSED_WAIT_SECONDS = 30.0
_MAX_SENDS = 5


def submit_once(client: SoraClient, request: JobRequest, attempt: Attempt) -> Video:
    """The job for a request: an earlier try's where there is one, otherwise a new one.

    :raises SoraUndecidedError: an earlier request may have been accepted, and nothing tells whether it was
    :raises SoraError: the server refuses, or cannot be reached
    """
    return _Submission(client, request, attempt).run()


class _Submission:
    """One try to have one job."""

    def __init__(self, client: SoraClient, request: JobRequest, attempt: Attempt) -> None:
        self._client = client
        self._request = request
        self._attempt = attempt
        self._search = Search(client, request, attempt)
        # Of what this try has sent itself a Clear says nothing, and a doubt is for the next try to decide.
        strict = replace(attempt, was_cleared=False, on_ambiguous="fail")
        self._own_search = Search(client, request, strict)
        self._waited = 0.0

    def run(self) -> Video:
        """The job; see the module."""
        earlier = self._earlier()
        if earlier is None:
            return self._submit(self._intent(None))
        if self._is_done_with(earlier) or self._is_of_another_source(earlier):
            return self._submit(self._intent(earlier))
        # Siblings see from here on that this task looks for a job, too.
        claims.publish(self._attempt.claims, earlier)
        return self._go_on(earlier)

    def _go_on(self, earlier: Record) -> Video:
        if earlier.video_id is not None:
            video = reconnect(self._client, self._attempt, earlier.video_id)
            if video is None:
                return self._submit(self._intent(earlier))
            intent = earlier.but(video_id=None)
            if self._search.accept(intent, video) is not None:
                return video
            earlier = intent
        return self._search.find(earlier) or self._submit(self._same_or_new(earlier))

    def _same_or_new(self, earlier: Record) -> Record:
        """The earlier intent, so that a job of it that shows late is seen, too; a new one where it serves no more."""
        is_same = earlier.fingerprint == Fingerprint.of(self._request)
        risks_it = self._attempt.was_cleared or self._attempt.on_ambiguous == "resubmit"
        return earlier if is_same and not risks_it else self._intent(earlier)

    def _earlier(self) -> Record | None:
        """What an earlier try left, or would have left, had it had a store."""
        found = self._attempt.load()
        if found is None and self._attempt.since is not None:
            found = self._new_record(intended_at=self._attempt.since)
        return found

    def _is_done_with(self, earlier: Record) -> bool:
        """Whether a record is not this try's to go on with: a cleared task makes a new video once it has had one."""
        if earlier.generation == self._attempt.generation or self._attempt.reuse:
            return False
        what = f"video {earlier.video_id}" if earlier.video_id else "its submission"
        is_same = earlier.fingerprint.prompt == Fingerprint.of(self._request).prompt
        if is_same and (earlier.stage == "open" or (earlier.stage == "waiting" and self._is_completed(earlier))):
            self._attempt.log("The task was cleared before anybody had %s: going on with it", what)
            return False
        self._attempt.log("The task was cleared after %s, or with another prompt: submitting a new job", what)
        return True

    def _is_completed(self, earlier: Record) -> bool:
        """Whether a job that was waited for has become a video: nobody had it if the triggerer was down too long."""
        video = None if earlier.video_id is None else retrieve(self._client, earlier.video_id)
        return video is not None and video.status is VideoStatus.COMPLETED

    def _is_of_another_source(self, earlier: Record) -> bool:
        """Whether it extended, edited or remixed what is not the source any more: a step before has a new video."""
        differs = earlier.fingerprint.sources != Fingerprint.of(self._request).sources
        if differs:
            self._attempt.log("An earlier try used another source video: submitting a new job")
        return differs

    def _intent(self, earlier: Record | None) -> Record:
        """The intent to submit, with what the list holds before: one request."""
        known = frozenset[str]() if earlier is None else earlier.earlier_ids
        if earlier is not None and earlier.video_id is not None:
            known |= {id_digest(earlier.video_id)}
        return self._new_record(
            intended_at=self._attempt.clock(), snapshot=lookup.take_snapshot(self._client), earlier_ids=known
        )

    def _new_record(self, **fields: Any) -> Record:
        return Record(generation=self._attempt.generation, fingerprint=Fingerprint.of(self._request), **fields)

    def _submit(self, intent: Record) -> Video:
        for _ in range(_MAX_SENDS):
            before = self._attempt.load()
            intent = intent.but(refused=False, stage="open")
            claims.publish(self._attempt.claims, intent)
            try:
                # A process that has outlived its worker cannot write this any more, and so does not come to the POST.
                video = self._client.send(self._request, partial(self._attempt.save, intent))
            except SoraError as error:
                intent, found = self._after_failure(error, intent, before)
            else:
                self._attempt.log("Video %s: accepted", video.id)  # whatever happens to the store from here on
                found = self._own_search.accept(intent, video) or self._own_search.find(intent)
            if found is not None:
                return found
        raise SoraConnectionError(f"{self._request} was refused {_MAX_SENDS} times; see the task's log")

    def _after_failure(self, error: SoraError, intent: Record, before: Record | None) -> tuple[Record, Video | None]:
        """The job, where the request was accepted after all; None where it may be sent again.

        :raises SoraError: the next try decides, or nobody can help
        """
        acceptance = acceptance_of(error)
        if acceptance is Acceptance.NO:
            self._take_back(before)
            raise error
        if acceptance is Acceptance.PERHAPS:
            found = self._own_search.find_now(intent)
            if found is None:
                raise error
            return intent, found
        intent = self._attempt.save(intent.but(refused=True, refusals=intent.refusals + 1))
        self._wait_as_asked(error)
        try:
            return intent, self._own_search.find(intent)
        except SoraUndecidedError:
            if self._attempt.on_ambiguous == "resubmit":
                raise error from None  # the next try does, once
            raise

    def _wait_as_asked(self, error: SoraError) -> None:
        """Wait as long as a refusal asks for, altogether for half a minute; longer is for Airflow's retry."""
        pause = error.retry_after_seconds if isinstance(error, SoraStatusError) else None
        if pause is None or self._waited + pause > _MAX_REFUSED_WAIT_SECONDS:
            raise error
        self._waited += pause
        self._attempt.sleep(pause)

    def _take_back(self, before: Record | None) -> None:
        """Forget an intent whose request was surely not accepted."""
        store = self._attempt.store
        if store is not None and before is None:
            store.delete(self._attempt.key)
        elif store is not None and before is not None:
            record.save(store, self._attempt.key, before)
