"""Ids of videos: what may be one, and which two of them name one job."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated

from pydantic import AfterValidator

from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.masking import quoted

# Servers' ids have up to about 300 characters (LiteLLM's base64).
MAX_ID_CHARACTERS = 512

# A slash or a dot segment would lead to another call, as DELETE /videos/.. does; no URL holds half a surrogate pair.
_FORBIDDEN = re.compile(r"[/\\\x00-\x1f\x7f-\x9f\ud800-\udfff]")

_WRAPPED = re.compile(r"(?:^|;)video_id:(?P<id>[^;]+)\Z")


def _may_be_in_a_path(value: str) -> str:
    if not value or value in (".", "..") or value != value.strip() or _FORBIDDEN.search(value):
        raise ValueError("an id is a text without slashes, control characters and space around it, not '.' or '..'")
    if len(value) > MAX_ID_CHARACTERS:
        raise ValueError(f"an id has at most {MAX_ID_CHARACTERS} characters, this has {len(value)}")
    return value


Id = Annotated[str, AfterValidator(_may_be_in_a_path)]


def check_id(name: str, value: object) -> str:
    """A value that may stand in the path of a request as an id.

    :raises SoraConfigError: it may not
    """
    try:
        return _may_be_in_a_path(value if isinstance(value, str) else "")
    except ValueError as error:
        raise SoraConfigError(f"{name} is {quoted(value)}: {error}") from None


def canonical_id(video_id: str) -> str:
    """The id of the job itself, where an id carries it inside.

    LiteLLM's ids are ``video_`` and the base64 of ``litellm:custom_llm_provider:…;model_id:…;video_id:<upstream id>``
    (`litellm/types/videos/utils.py`). The provider and the model in it differ between the answers to create, retrieve
    and list; the upstream's id does not.
    """
    encoded = video_id.removeprefix("video_")
    try:
        text = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True).decode()
    except (binascii.Error, ValueError):
        return video_id
    found = _WRAPPED.search(text) if text.startswith("litellm:") else None
    return canonical_id(found["id"]) if found else video_id
