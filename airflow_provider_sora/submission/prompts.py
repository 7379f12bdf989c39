"""Prompts as servers show them: which of them are the one that was sent."""

from __future__ import annotations

import hashlib
import html
import unicodedata
from enum import Enum

from pydantic import BaseModel, ConfigDict

# Symbols (emoji among them), what joins them, and what is not assigned to a character; besides the variation selectors.
_SYMBOLS = frozenset({"So", "Sk", "Cf", "Cn", "Co", "Cs"})
_VARIATION_SELECTORS = range(0xFE00, 0xFE10)
_MOST_ESCAPES = 5  # in one another
_SHORTEST_CUT = 8


class Likeness(Enum):
    """How a prompt that a server shows relates to the one that was sent."""

    SAME = "same"
    UNCLEAR = "unclear"  # none shown, or only a part
    OTHER = "other"  # which a server that rewrites prompts shows, too


class PromptDigest(BaseModel):
    """A prompt as digests, for it may be long and private.

    :param text: SHA-256 of the normalized text
    :param plain: … of the text without emoji and other symbols, which some servers drop
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    text: str
    plain: str

    @classmethod
    def of(cls, prompt: str) -> PromptDigest:
        """The digests of a prompt."""
        return cls(text=_digest(normalized(prompt)), plain=_digest(_without_symbols(normalized(prompt))))

    def is_shown_as(self, shown: str) -> bool:
        """Whether a text that a server shows is this prompt."""
        text = normalized(shown)
        if _digest(text) == self.text:
            return True
        return text == _without_symbols(text) and _digest(text) == self.plain


def likeness(wanted: PromptDigest, sent: str | None, shown: str | None) -> Likeness:
    """How a shown prompt relates to the one that was sent.

    :param sent: the text itself, where it is known: needed to tell a prompt that was cut from another one
    """
    if shown is None or not normalized(shown):
        return Likeness.UNCLEAR
    if wanted.is_shown_as(shown):
        return Likeness.SAME
    return Likeness.UNCLEAR if sent is None or _is_cut(normalized(sent), normalized(shown)) else Likeness.OTHER


def normalized(text: str) -> str:
    """A text without what servers change in it: Unicode form, line ends, runs of white space, HTML escapes."""
    for _ in range(_MOST_ESCAPES):
        text, before = html.unescape(text), text
        if text == before:
            break
    return " ".join(unicodedata.normalize("NFKC", text).split())


def _is_cut(sent: str, shown: str) -> bool:
    """Whether the shown text is a beginning of what was sent, perhaps with an ellipsis behind it."""
    begin = shown.rstrip("….").rstrip()
    return len(begin) >= min(_SHORTEST_CUT, len(sent)) and sent.startswith(begin)


def _without_symbols(text: str) -> str:
    return " ".join("".join(c for c in text if not _is_symbol(c)).split())


def _is_symbol(character: str) -> bool:
    return unicodedata.category(character) in _SYMBOLS or ord(character) in _VARIATION_SELECTORS


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
