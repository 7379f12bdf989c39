"""What the LiteLLM proxy means by its words (1.109 was seen): it wraps an upstream's answer into a sentence."""

from __future__ import annotations

import json

# `litellm/proxy/auth/user_api_key_auth.py`: without a database it cannot know any key but its own.
_NO_DATABASE = "no connected db"


def refuses_key(detail: str) -> bool:
    """Whether a refusal is about the key: LiteLLM without a database answers 400 "No connected db."."""
    return detail.strip().lower().startswith(_NO_DATABASE)


def upstream_words(detail: str) -> str:
    """What the upstream said, from ``litellm.NotFoundError: … - {"detail":"Not Found"}``; other words as they are."""
    if not detail.startswith("litellm."):
        return detail
    said = _json_in(detail)
    if isinstance(said, dict):
        error = said.get("detail") or said.get("error") or ""
        return str(error.get("message") or "") if isinstance(error, dict) else str(error)
    return detail.rpartition(" - ")[2]


def _json_in(text: str) -> object:
    try:
        return json.JSONDecoder().raw_decode(text, text.index("{"))[0]
    except ValueError:
        return None
