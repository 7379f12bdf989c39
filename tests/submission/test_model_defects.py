"""The model finds what it is there for: each of these defects was in the package once, or nearly."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from airflow_provider_sora import exceptions
from airflow_provider_sora.api.decisions import acceptance
from airflow_provider_sora.api.http.pages import Pages
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.submission import claims, lookup, matching, prompts, record, resend, search
from airflow_provider_sora.submission.attempt import Attempt
from tests.submission.model import SCRIPTS, Script, Server, Task, check

_EXAMPLES = int(os.environ.get("SORA_MODEL_EXAMPLES", "0"))  # see `test_model`


def _prompts_are_compared_literally(monkeypatch: pytest.MonkeyPatch) -> None:
    """A prompt that is not shown as it was sent counts as another task's."""
    results = {True: prompts.PromptMatch.SAME, False: prompts.PromptMatch.DIFFERENT}
    monkeypatch.setattr(matching, "compare_prompts", lambda _, sent, shown: results[shown == sent])
    monkeypatch.setattr(matching, "_proves_exact_prompts", lambda *_: True)


def _only_clocks_show_what_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "take_snapshot", lambda _: None)
    monkeypatch.setattr(matching, "CLOCK_SLACK_SECONDS", 0.0)


def _every_list_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "_without_candidates", lambda *_: matching.NoMatch())


def _a_short_page_is_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pages, "_is_last", lambda *_: True)


def _jobs_are_not_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "acquire", lambda _claims, _intent, videos, _sleep: videos[0])


def _claims_are_read_before_publishing(monkeypatch: pytest.MonkeyPatch) -> None:
    def acquire(own: claims.Claims, intent: record.Record, videos: Sequence[Video], _sleep: Any) -> Video | None:
        others = claims._others(own, intent)
        free = [video for video in videos if not any(claims._is_on(other, video) for other in others)]
        if not free:
            return None
        claims.publish_claim(own, intent, free[0].id, has_it=True)
        return free[0]

    monkeypatch.setattr(claims, "acquire", acquire)


def _ambiguous_lists_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_MAX_SEARCHES", 1)
    monkeypatch.setattr(search.Search, "_on_ambiguous", lambda *_: None)


def _siblings_intents_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    def age(query: matching.JobQuery, observation: matching.ListObservation, video: Video) -> Any:
        return matching._age_since(query.baselines[0], observation, video)

    monkeypatch.setattr(matching, "_age", age)


def _the_list_is_read_without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_PAUSES", (0.0, 0.0, 0.0))


def _retry_after_counts_as_not_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    def judge(error: exceptions.SoraError) -> acceptance.Acceptance:
        found = acceptance.acceptance_of(error)
        return acceptance.Acceptance.NO if found is acceptance.Acceptance.UNLIKELY else found

    monkeypatch.setattr(resend, "acceptance_of", judge)


def _a_redirect_counts_as_not_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    def judge(error: exceptions.SoraError) -> acceptance.Acceptance:
        is_redirect = isinstance(error, exceptions.SoraStatusError) and error.status_code < 400
        return acceptance.Acceptance.NO if is_redirect else acceptance.acceptance_of(error)

    monkeypatch.setattr(resend, "acceptance_of", judge)


def _no_intent_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    save = Attempt.save

    def only_ids(self: Attempt, state: record.Record) -> record.Record:
        return save(self, state) if state.video_id is not None else state

    monkeypatch.setattr(Attempt, "save", only_ids)


def script(*posts: str, tasks: tuple[Task, ...] = (Task(),), server: Server | None = None, **more: Any) -> Script:
    """A script in which only the POSTs fail, unless further fields are given."""
    known = {"choices": (), "lists": (), "old_job": False, "others": 1, **more}
    return Script(server=server or Server(), tasks=tasks, posts=posts, **known)


# Each defect with a script by which the search found it, in its shortest form.
DEFECTS = {
    _prompts_are_compared_literally: script("502, accepted", server=Server(shows="prompt truncated with dots")),
    _only_clocks_show_what_is_new: script(
        "dies after", server=Server(times="70 s behind"), tasks=(Task(has_store=False),)
    ),
    _every_list_is_believed: script("dies after", tasks=(Task(has_store=False),), lists=("", "empty", "empty")),
    _a_short_page_is_the_last: script(
        "dies after", server=Server(arranged="oldest first", page_length=10, sends_has_more=False), others=12
    ),
    _jobs_are_not_claimed: script("dies before", tasks=(Task(has_store=False),) * 3, choices=(0, 0, 0)),
    _claims_are_read_before_publishing: script("dies before", "502, accepted", tasks=(Task(has_store=False),) * 2),
    _ambiguous_lists_are_ignored: script(
        "dies after", server=Server(times="70 s behind", sends_date=False), tasks=(Task(has_store=False),)
    ),
    _siblings_intents_are_ignored: script(
        "dies after", "no response", tasks=(Task(),) * 2, choices=(0,) * 6 + (1,) * 3
    ),
    _the_list_is_read_without_pauses: script("503 for 5 s, accepted", server=Server(lag=12.0)),
    _retry_after_counts_as_not_accepted: script("503 for 5 s, accepted"),
    _a_redirect_counts_as_not_accepted: script("redirect, accepted"),
    _no_intent_is_written: script("dies after"),
}


@pytest.mark.parametrize(("plant", "found_by"), DEFECTS.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_planted_defect_is_found_by_its_script(
    plant: Callable[[pytest.MonkeyPatch], None], found_by: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(found_by)
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        check(found_by)


@pytest.mark.skipif(not _EXAMPLES, reason="takes minutes: SORA_MODEL_EXAMPLES=6000, as two of the defects are rare")
@pytest.mark.parametrize("plant", DEFECTS, ids=lambda plant: plant.__name__)
def test_a_planted_defect_is_found_by_a_random_search(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)

    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(SCRIPTS)
    def search_it(script: Script) -> None:
        check(script)

    with pytest.raises(AssertionError):
        search_it()
