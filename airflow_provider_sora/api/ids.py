"""Ids of videos: which two of them name one job."""

from __future__ import annotations

import base64
import binascii
import re

_WRAPPED = re.compile(r"(?:^|;)video_id:(?P<id>[^;]+)\Z")


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
