"""Compares prompts as servers show them with the prompt that was sent."""

from __future__ import annotations

import hashlib
import html
import unicodedata
from enum import Enum

from pydantic import BaseModel, ConfigDict

# Symbols (emoji among them), their joiners, and unassigned code points; the variation selectors are added below.
_SYMBOLS = frozenset({"So", "Sk", "Cf", "Cn", "Co", "Cs"})
_VARIATION_SELECTORS = range(0xFE00, 0xFE10)
_MAX_NESTED_ESCAPES = 5
_MIN_TRUNCATED_LENGTH = 8


class PromptMatch(Enum):
    """How a prompt that a server shows relates to the one that was sent."""

    SAME = "same"
    UNCLEAR = "unclear"  # none is shown, or only the beginning
    DIFFERENT = "different"  # also what a server shows that rewrites prompts


class PromptDigest(BaseModel):
    """A prompt as digests, because it may be long and private.

    :param text: SHA-256 of the normalized text
    :param plain: SHA-256 of the normalized text without emoji and other symbols, which some servers drop
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    text: str
    plain: str

    @classmethod
    def of(cls, prompt: str) -> PromptDigest:
        """The digests of a prompt."""
        return cls(text=_digest(normalized(prompt)), plain=_digest(_without_symbols(normalized(prompt))))

    def matches(self, shown: str) -> bool:
        """Whether a text that a server shows is this prompt."""
        text = normalized(shown)
        if _digest(text) == self.text:
            return True
        return text == _without_symbols(text) and _digest(text) == self.plain


def compare_prompts(digest: PromptDigest, sent: str | None, shown: str | None) -> PromptMatch:
    """Compare a prompt that a server shows with the one that was sent.

    :param sent: the text behind the digest, if it is known: only the text can show that a prompt was truncated
    """
    if shown is None or not normalized(shown):
        return PromptMatch.UNCLEAR
    if digest.matches(shown):
        return PromptMatch.SAME
    is_unclear = sent is None or _is_truncated(normalized(sent), normalized(shown))
    return PromptMatch.UNCLEAR if is_unclear else PromptMatch.DIFFERENT


def normalized(text: str) -> str:
    """A text without what servers change in it: Unicode form, line ends, runs of white space, HTML escapes."""
    for _ in range(_MAX_NESTED_ESCAPES):
        text, before = html.unescape(text), text
        if text == before:
            break
    return " ".join(unicodedata.normalize("NFKC", text).split())


def _is_truncated(sent: str, shown: str) -> bool:
    """Whether the shown text is the beginning of the sent one, with or without an ellipsis."""
    begin = shown.rstrip("….").rstrip()
    return len(begin) >= min(_MIN_TRUNCATED_LENGTH, len(sent)) and sent.startswith(begin)


def _without_symbols(text: str) -> str:
    return " ".join("".join(c for c in text if not _is_symbol(c)).split())


def _is_symbol(character: str) -> bool:
    return unicodedata.category(character) in _SYMBOLS or ord(character) in _VARIATION_SELECTORS


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
