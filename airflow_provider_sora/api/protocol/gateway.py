"""The error messages of the LiteLLM proxy (checked: 1.109), which wraps the upstream's message into its own."""

from __future__ import annotations

import json

# `litellm/proxy/auth/user_api_key_auth.py`: without a database it knows no key but its own.
_NO_DATABASE = "no connected db"


def refuses_key(detail: str) -> bool:
    """Whether an error is about the key: LiteLLM without a database responds with 400 "No connected db."."""
    return detail.strip().lower().startswith(_NO_DATABASE)


def upstream_message(detail: str) -> str:
    """The upstream's message in ``litellm.NotFoundError: … - {"detail":"Not Found"}``; any other message unchanged."""
    if not detail.startswith("litellm."):
        return detail
    body = _json_in(detail)
    if isinstance(body, dict):
        error = body.get("detail") or body.get("error") or ""
        return str(error.get("message") or "") if isinstance(error, dict) else str(error)
    return detail.rpartition(" - ")[2]


def _json_in(text: str) -> object:
    try:
        return json.JSONDecoder().raw_decode(text, text.index("{"))[0]
    except ValueError:
        return None
