"""Decides whether a create may be sent again (resend, submit again) after it failed in this try.

These are all the places where that is decided:

| when                                            | decided by                                            |
|-------------------------------------------------|-------------------------------------------------------|
| the client retries one POST                     | `api.decisions.acceptance.is_safe_to_resend`          |
| the server cannot parse the body (JSON or form) | `api.http.negotiation`                                |
| the create failed in this try                   | `ResendPolicy.after_failure`                          |
| a later try finds an intent without an id       | `search.Search.find`, by `matching.match_jobs`        |
| a later try finds the id of a job               | `reconnect.reconnect`                                 |
| the task was cleared, or its source has changed | `protocol`, by the stage and the source of the record |

`acceptance_of(error)` classifies a failure; the table in `protocol` lists them all.
"""

from __future__ import annotations

from airflow_provider_sora.api.decisions.acceptance import Acceptance, acceptance_of
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.exceptions import SoraError, SoraStatusError, SoraUndecidedError
from airflow_provider_sora.submission import record
from airflow_provider_sora.submission.attempt import Attempt
from airflow_provider_sora.submission.record import Record
from airflow_provider_sora.submission.search import Search

_MAX_WAIT_SECONDS = 30.0


class ResendPolicy:
    """Decides for one try whether a create that failed is sent again.

    :param search: searches for the job of what this try has sent itself
    """

    def __init__(self, attempt: Attempt, search: Search) -> None:
        self._attempt = attempt
        self._search = search
        self._waited_seconds = 0.0

    def after_failure(self, error: SoraError, intent: Record, previous: Record | None) -> tuple[Record, Video | None]:
        """The intent, and the job if the create was accepted after all; without a job, send the create again.

        :param previous: the record as it was before the intent was written
        :raises SoraError: do not send it again in this try
        """
        acceptance = acceptance_of(error)
        if acceptance is Acceptance.NO:
            self._restore(previous)
            raise error
        if acceptance is Acceptance.PERHAPS:
            video = self._search.find_after_lost_response(intent)
            if video is None:
                raise error
            return intent, video
        return self._after_refusal(error, intent)

    def _after_refusal(self, error: SoraError, intent: Record) -> tuple[Record, Video | None]:
        """Most likely the create was not accepted; the list decides."""
        intent = self._attempt.save(intent.replace(refused=True, refusals=intent.refusals + 1))
        self._wait_as_asked(error)
        try:
            return intent, self._search.find(intent)
        except SoraUndecidedError:
            if self._attempt.on_ambiguous == "resubmit":
                raise error from None  # the next try submits again, once
            raise

    def _wait_as_asked(self, error: SoraError) -> None:
        """Wait as long as the server asks, for at most 30 s in one try; longer waits are left to Airflow's retry."""
        pause = error.retry_after_seconds if isinstance(error, SoraStatusError) else None
        if pause is None or self._waited_seconds + pause > _MAX_WAIT_SECONDS:
            raise error
        self._waited_seconds += pause
        self._attempt.sleep(pause)

    def _restore(self, previous: Record | None) -> None:
        """Remove the intent of a create that was certainly not accepted."""
        store = self._attempt.store
        if store is not None and previous is None:
            store.delete(self._attempt.key)
        elif store is not None and previous is not None:
            record.save(store, self._attempt.key, previous)
