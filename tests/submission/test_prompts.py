"""Prompts as servers show them."""

from __future__ import annotations

import html
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from airflow_provider_sora.submission.prompts import Likeness, PromptDigest, likeness, normalized

SENT = "A cat's  day & night 🐈\nat the séa"


@pytest.mark.parametrize(
    ("shown", "like"),
    [
        (SENT, Likeness.SAME),
        (f"  {SENT}\n", Likeness.SAME),
        ("A cat's day & night 🐈 at the séa", Likeness.SAME),
        (SENT.replace("\n", "\r\n"), Likeness.SAME),
        (unicodedata.normalize("NFD", SENT), Likeness.SAME),
        (html.escape(SENT), Likeness.SAME),
        (html.escape(html.escape(SENT)), Likeness.SAME),
        (SENT.replace("🐈", ""), Likeness.SAME),
        (SENT[:12], Likeness.UNCLEAR),
        (SENT[:12] + "...", Likeness.UNCLEAR),
        (SENT[:12] + "…", Likeness.UNCLEAR),
        (None, Likeness.UNCLEAR),
        ("", Likeness.UNCLEAR),
        (" \n", Likeness.UNCLEAR),
        ("A cat's", Likeness.OTHER),  # seven characters are a beginning by chance
        ("A cat's ", Likeness.OTHER),
        ("A cat's d", Likeness.UNCLEAR),
        (SENT + " and more", Likeness.OTHER),
        (SENT.upper(), Likeness.OTHER),
        ("A dog's day & night", Likeness.OTHER),
        (SENT.replace("🐈", "🐕"), Likeness.OTHER),
    ],
)
def test_a_shown_prompt_is_the_same_or_unclear_or_another(shown: str | None, like: Likeness) -> None:
    assert likeness(PromptDigest.of(SENT), SENT, shown) is like


def test_a_short_prompt_is_compared_as_a_whole() -> None:
    assert likeness(PromptDigest.of("cats"), "cats", "cat") is Likeness.OTHER
    assert likeness(PromptDigest.of("cats"), "cats", "cats...") is Likeness.UNCLEAR


def test_a_cut_counts_from_eight_characters_on() -> None:
    sent = "Abcdefgh ijk"
    assert likeness(PromptDigest.of(sent), sent, "Abcdefgh") is Likeness.UNCLEAR
    assert likeness(PromptDigest.of(sent), sent, "Abcdefg") is Likeness.OTHER


@pytest.mark.parametrize("selector", ["\ufe00", "\ufe0f"])
def test_what_chooses_between_text_and_emoji_is_dropped_with_the_emoji(selector: str) -> None:
    assert PromptDigest.of(f"a cup ☕{selector}").is_shown_as("a cup")


def test_escapes_are_undone_five_times() -> None:
    shown, digest = "cat & dog", PromptDigest.of("cat & dog")
    for _ in range(5):
        shown = html.escape(shown)
    assert digest.is_shown_as(shown)
    assert not digest.is_shown_as(html.escape(shown))


def test_digests_are_not_changed_by_mistake() -> None:
    with pytest.raises(ValidationError):
        PromptDigest.of("a cat").text = "another"  # type: ignore[misc]


def test_without_the_text_that_was_sent_any_other_may_be_a_part_of_it() -> None:
    assert likeness(PromptDigest.of(SENT), None, "A dog") is Likeness.UNCLEAR
    assert likeness(PromptDigest.of(SENT), None, SENT) is Likeness.SAME


@given(st.text(min_size=1).filter(lambda text: bool(normalized(text))))
def test_every_prompt_is_known_as_it_was_sent_and_in_each_usual_change(text: str) -> None:
    digest = PromptDigest.of(text)
    for shown in (text, f" {text} ", html.escape(text), unicodedata.normalize("NFC", text), normalized(text)):
        assert digest.is_shown_as(shown)


@given(st.text(), st.text())
def test_two_texts_are_one_prompt_only_where_they_are_normalized_to_one(one: str, other: str) -> None:
    if PromptDigest.of(one).text == PromptDigest.of(other).text:
        assert normalized(one) == normalized(other)
