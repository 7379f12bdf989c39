"""Ids of videos: which are valid, and which two of them are of the same job."""

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

# A slash or a dot segment would make another call of it (DELETE /videos/..); a lone surrogate cannot be in a URL.
_FORBIDDEN = re.compile(r"[/\\\x00-\x1f\x7f-\x9f\ud800-\udfff]")

_WRAPPED = re.compile(r"(?:^|;)video_id:(?P<id>[^;]+)\Z")


def _valid_in_a_path(value: str) -> str:
    if not value or value in (".", "..") or value != value.strip() or _FORBIDDEN.search(value):
        raise ValueError(
            "an id has no slashes, control characters and surrounding space, and is not empty, '.' or '..'"
        )
    if len(value) > MAX_ID_CHARACTERS:
        raise ValueError(f"an id has at most {MAX_ID_CHARACTERS} characters, this has {len(value)}")
    return value


Id = Annotated[str, AfterValidator(_valid_in_a_path)]


def check_id(name: str, value: object) -> str:
    """A value that is used as an id in the path of a request.

    :raises SoraConfigError: it is not a valid id
    """
    try:
        return _valid_in_a_path(value if isinstance(value, str) else "")
    except ValueError as error:
        raise SoraConfigError(f"{name} is {quoted(value)}: {error}") from None


def canonical_id(video_id: str) -> str:
    """The id of the job itself, where another id contains it.

    LiteLLM's ids are ``video_`` and the base64 of ``litellm:custom_llm_provider:…;model_id:…;video_id:<upstream id>``
    (`litellm/types/videos/utils.py`). The provider and the model in it differ between the responses to create,
    retrieve and list; the upstream's id does not.
    """
    encoded = video_id.removeprefix("video_")
    try:
        text = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True).decode()
    except (binascii.Error, ValueError):
        return video_id
    found = _WRAPPED.search(text) if text.startswith("litellm:") else None
    return canonical_id(found["id"]) if found else video_id
