"""The submission protocol: one paid job for one video, whatever fails in the task, on the server or on the way.

A *create* is the POST that starts a paid job. It is sent only if no earlier create of this task, by this try or another
one, can have been accepted. In doubt nothing is sent, and the task fails with `SoraUndecidedError`.

A submission has these steps. The process may die between any two of them; the next try continues from what it finds.

| step     | what happens                                                              | done by                   |
|----------|---------------------------------------------------------------------------|---------------------------|
| snapshot | the first page of the server's list is read: the new job is none of these | `lookup.take_snapshot`    |
| intent   | a record without a video id is written to Airflow's task state store      | `Attempt.save`            |
| create   | the POST is sent; before each POST the intent is written again            | `_Submission._send`       |
| accepted | the server has created the job                                            | the server                |
| id       | the record is written with the video id                                   | `Search.record_and_claim` |
| claim    | mapped tasks with the same prompt can see that this task owns the job     | `claims.acquire`          |
| wait     | the operator waits for the job, in the worker or in the triggerer         | the operator              |

A later try acts on the state that it finds:

| record               | on the server                               | action                                          |
|----------------------|---------------------------------------------|-------------------------------------------------|
| none                 |                                             | submit                                          |
| with an id           | the job runs, or has a video                | reconnect to it by its id (`reconnect`)         |
| with an id           | the job failed, expired or no longer exists | submit a new job, with a new intent             |
| intent without an id | the list shows one new job that matches     | re-attach to it (`search`, `matching`)          |
| intent without an id | the list is complete and shows no new job   | submit again, with the same intent              |
| intent without an id | anything else                               | raise `SoraUndecidedError`; the stage is `told` |
| of another source    |                                             | submit a new job, with a new intent             |
| cannot be read       |                                             | raise `SoraUndecidedError`; the record stays    |

Before Airflow 3.3 there is no store: a later try assumes an intent from the time when the first try may have submitted,
and after a Clear re-attaches only to a job that still runs.

A create ends in one of these events. `resend` decides whether it is sent again in the same try:

| the create ended in                                     | accepted | action                                      |
|---------------------------------------------------------|----------|---------------------------------------------|
| a video                                                 | yes      | write its id, claim the job                 |
| no connection; 4xx but 408; 501; a 503 that says "busy" | no       | restore the previous record, raise          |
| 503 with Retry-After                                    | unlikely | wait, search; without a match send it again |
| 408, another 5xx, a redirect, no or unreadable response | perhaps  | search; without a match raise               |

After a single 503 with Retry-After only a job that may match stops the next send; from the second one on, the list has
to prove that there is none. What is raised is left to the next try, which finds the intent.

After a Clear, the record is of an earlier generation than the try. Unless `Attempt.reuse` is set, its stage decides:

| stage   | set when                                                  | after a Clear                                  |
|---------|-----------------------------------------------------------|------------------------------------------------|
| open    | an intent or id is written; a wait left the job running   | as in a retry; a new job if the prompt differs |
| waiting | the wait in the triggerer begins: a Clear deletes the job | keep a finished video, else as `told`          |
| told    | `SoraUndecidedError` is raised: the user decides          | submit a new job                               |
| done    | a video, a running job or a job's error is handed on      | submit a new job                               |

Who may do what:

- Only `_Submission._send` sends creates, and only once the intent is written. The intent is also a fence: a process
  that has outlived its worker can no longer write to the store, so it does not reach the POST.
- Only the task writes its record, through `Attempt`; the operator sets the stage. Triggers neither read nor write it.
- `lookup`, `matching` and `reconnect` only read. No module here deletes a job on the server.
- A job found on the list becomes this task's only through `claims.acquire`. Never matched are the jobs of other tasks,
  the earlier jobs of this task, and the sources of an extension, edit or remix.
- A user may waive a doubt about an earlier try, by a Clear or by `on_ambiguous`, but no doubt about this try's create.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from airflow_provider_sora.api.client import SoraClient
from airflow_provider_sora.api.protocol.models import Video, VideoStatus
from airflow_provider_sora.api.protocol.requests import JobRequest
from airflow_provider_sora.exceptions import SoraConnectionError, SoraError
from airflow_provider_sora.submission import claims, lookup
from airflow_provider_sora.submission.attempt import Attempt
from airflow_provider_sora.submission.reconnect import reconnect, retrieve
from airflow_provider_sora.submission.record import Fingerprint, Record, id_digest
from airflow_provider_sora.submission.resend import ResendPolicy
from airflow_provider_sora.submission.search import Search

_MAX_SENDS = 5


def submit_once(client: SoraClient, request: JobRequest, attempt: Attempt) -> Video:
    """The job for a request: an earlier try's if there is one, otherwise a new one.

    :raises SoraUndecidedError: an earlier request may have been accepted, and the server's list does not show whether
    :raises SoraError: the server refuses the request, or cannot be reached
    """
    return _Submission(client, request, attempt).run()


class _Submission:
    """One try to have one job."""

    def __init__(self, client: SoraClient, request: JobRequest, attempt: Attempt) -> None:
        self._client = client
        self._request = request
        self._attempt = attempt
        self._search = Search(client, request, attempt)
        # What this try has sent itself is newer than the Clear; a doubt about it is left to the next try.
        self._own_search = Search(client, request, replace(attempt, was_cleared=False, on_ambiguous="fail"))
        self._resend = ResendPolicy(attempt, self._own_search)

    def run(self) -> Video:
        """The job; see the module's docstring."""
        earlier = self._earlier()
        if earlier is None:
            return self._send(self._new_intent(None))
        if self._is_superseded(earlier) or self._has_another_source(earlier):
            return self._send(self._new_intent(earlier))
        # From here on mapped tasks see that this one searches for a job, too.
        claims.publish_claim(self._attempt.claims, earlier)
        return self._resume(earlier)

    def _earlier(self) -> Record | None:
        """The record of an earlier try; without a store, the intent that it may have had."""
        found = self._attempt.load()
        if found is None and self._attempt.may_have_submitted_since is not None:
            found = self._new_record(intended_at=self._attempt.may_have_submitted_since)
        return found

    def _is_superseded(self, earlier: Record) -> bool:
        """Whether a Clear asks for a new job in place of the recorded one."""
        if earlier.generation == self._attempt.generation or self._attempt.reuse:
            return False
        what = f"video {earlier.video_id}" if earlier.video_id else "its submission"
        is_same = earlier.fingerprint.prompt == Fingerprint.of(self._request).prompt
        if is_same and (earlier.stage == "open" or (earlier.stage == "waiting" and self._is_completed(earlier))):
            self._attempt.log("The task was cleared before it had used %s; resuming with it", what)
            return False
        self._attempt.log("The task was cleared after %s, or its prompt has changed; submitting a new job", what)
        return True

    def _is_completed(self, earlier: Record) -> bool:
        """Whether the job that was waited for has a video: no task has it if no triggerer ran when it finished."""
        video = None if earlier.video_id is None else retrieve(self._client, earlier.video_id)
        return video is not None and video.status is VideoStatus.COMPLETED

    def _has_another_source(self, earlier: Record) -> bool:
        """Whether the recorded job has another source: the step before it has a new video."""
        differs = earlier.fingerprint.sources != Fingerprint.of(self._request).sources
        if differs:
            self._attempt.log("The earlier try used another source video; submitting a new job")
        return differs

    def _resume(self, earlier: Record) -> Video:
        """Reconnect, re-attach, or submit again."""
        if earlier.video_id is not None:
            video = reconnect(self._client, self._attempt, earlier.video_id)
            if video is None:
                return self._send(self._new_intent(earlier))
            intent = earlier.replace(video_id=None)
            if self._search.record_and_claim(intent, video) is not None:
                return video
            earlier = intent
        return self._search.find(earlier) or self._send(self._intent_to_resend(earlier))

    def _intent_to_resend(self, earlier: Record) -> Record:
        """The earlier intent, whose job may be listed late; a new one if the user waived the doubt or it differs."""
        is_same = earlier.fingerprint == Fingerprint.of(self._request)
        is_waived = self._attempt.was_cleared or self._attempt.on_ambiguous == "resubmit"
        return earlier if is_same and not is_waived else self._new_intent(earlier)

    def _new_intent(self, earlier: Record | None) -> Record:
        """An intent, with a snapshot of the list: one request."""
        earlier_ids = frozenset[str]() if earlier is None else earlier.earlier_ids
        if earlier is not None and earlier.video_id is not None:
            earlier_ids |= {id_digest(earlier.video_id)}
        intended_at = self._attempt.clock()
        snapshot = lookup.take_snapshot(self._client)
        return self._new_record(intended_at=intended_at, snapshot=snapshot, earlier_ids=earlier_ids)

    def _new_record(self, **fields: Any) -> Record:
        return Record(generation=self._attempt.generation, fingerprint=Fingerprint.of(self._request), **fields)

    def _send(self, intent: Record) -> Video:
        """Send the create, and again only if `ResendPolicy` allows it."""
        for _ in range(_MAX_SENDS):
            previous = self._attempt.load()
            intent = intent.replace(refused=False, stage="open")
            claims.publish_claim(self._attempt.claims, intent)
            try:
                # The fence: if the intent cannot be written, the POST is not sent.
                video = self._client.send(self._request, partial(self._attempt.save, intent))
            except SoraError as error:
                intent, found = self._resend.after_failure(error, intent, previous)
            else:
                self._attempt.log("Video %s: accepted", video.id)  # logged first: the store may fail
                found = self._own_search.record_and_claim(intent, video) or self._own_search.find(intent)
            if found is not None:
                return found
        raise SoraConnectionError(f"{self._request} was refused {_MAX_SENDS} times; see the task's log")
