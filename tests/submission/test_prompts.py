"""Prompts as servers show them, compared with those that were sent."""

from __future__ import annotations

import html
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from airflow_provider_sora.submission.prompts import PromptDigest, PromptMatch, compare_prompts, normalized

SENT = "A cat's  day & night 🐈\nat the séa"


@pytest.mark.parametrize(
    ("shown", "result"),
    [
        (SENT, PromptMatch.SAME),
        (f"  {SENT}\n", PromptMatch.SAME),
        ("A cat's day & night 🐈 at the séa", PromptMatch.SAME),
        (SENT.replace("\n", "\r\n"), PromptMatch.SAME),
        (unicodedata.normalize("NFD", SENT), PromptMatch.SAME),
        (html.escape(SENT), PromptMatch.SAME),
        (html.escape(html.escape(SENT)), PromptMatch.SAME),
        (SENT.replace("🐈", ""), PromptMatch.SAME),
        (SENT[:12], PromptMatch.UNCLEAR),
        (SENT[:12] + "...", PromptMatch.UNCLEAR),
        (SENT[:12] + "…", PromptMatch.UNCLEAR),
        (None, PromptMatch.UNCLEAR),
        ("", PromptMatch.UNCLEAR),
        (" \n", PromptMatch.UNCLEAR),
        ("A cat's", PromptMatch.DIFFERENT),  # seven characters may be the same by chance
        ("A cat's ", PromptMatch.DIFFERENT),
        ("A cat's d", PromptMatch.UNCLEAR),
        (SENT + " and more", PromptMatch.DIFFERENT),
        (SENT.upper(), PromptMatch.DIFFERENT),
        ("A dog's day & night", PromptMatch.DIFFERENT),
        (SENT.replace("🐈", "🐕"), PromptMatch.DIFFERENT),
    ],
)
def test_a_shown_prompt_is_the_same_or_unclear_or_different(shown: str | None, result: PromptMatch) -> None:
    assert compare_prompts(PromptDigest.of(SENT), SENT, shown) is result


def test_a_short_prompt_is_compared_as_a_whole() -> None:
    assert compare_prompts(PromptDigest.of("cats"), "cats", "cat") is PromptMatch.DIFFERENT
    assert compare_prompts(PromptDigest.of("cats"), "cats", "cats...") is PromptMatch.UNCLEAR


def test_a_truncated_prompt_counts_from_eight_characters_on() -> None:
    sent = "Abcdefgh ijk"
    assert compare_prompts(PromptDigest.of(sent), sent, "Abcdefgh") is PromptMatch.UNCLEAR
    assert compare_prompts(PromptDigest.of(sent), sent, "Abcdefg") is PromptMatch.DIFFERENT


@pytest.mark.parametrize("selector", ["\ufe00", "\ufe0f"])
def test_a_variation_selector_is_dropped_with_its_emoji(selector: str) -> None:
    assert PromptDigest.of(f"a cup ☕{selector}").matches("a cup")


def test_escapes_are_undone_up_to_five_times() -> None:
    shown, digest = "cat & dog", PromptDigest.of("cat & dog")
    for _ in range(5):
        shown = html.escape(shown)
    assert digest.matches(shown)
    assert not digest.matches(html.escape(shown))


def test_digests_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        PromptDigest.of("a cat").text = "another"  # type: ignore[misc]


def test_without_the_text_that_was_sent_any_other_text_is_unclear() -> None:
    assert compare_prompts(PromptDigest.of(SENT), None, "A dog") is PromptMatch.UNCLEAR
    assert compare_prompts(PromptDigest.of(SENT), None, SENT) is PromptMatch.SAME


@given(st.text(min_size=1).filter(lambda text: bool(normalized(text))))
def test_every_prompt_matches_as_it_was_sent_and_after_each_usual_change(text: str) -> None:
    digest = PromptDigest.of(text)
    for shown in (text, f" {text} ", html.escape(text), unicodedata.normalize("NFC", text), normalized(text)):
        assert digest.matches(shown)


@given(st.text(), st.text())
def test_two_texts_have_one_digest_only_if_they_are_normalized_to_one(one: str, other: str) -> None:
    if PromptDigest.of(one).text == PromptDigest.of(other).text:
        assert normalized(one) == normalized(other)
