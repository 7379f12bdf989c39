"""The values that tests of every store write: a target, its content and its parts."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from airflow_provider_sora.api.content.reading import Content
from airflow_provider_sora.transfers.part import Part
from airflow_provider_sora.transfers.store import Target

TARGET = Target("a/x", "video_1", "video", "video/mp4", create_only=False)
CREATE_ONLY = replace(TARGET, create_only=True)
IDENTITY = {"sora-metadata-version": "1", "sora-video-id": "video_1", "sora-variant": "video"}


def part_of(*chunks: bytes) -> Part:
    part = Part()
    for chunk in chunks:
        part.add(chunk)
    return part


def content_of(data: bytes) -> Content:
    """The summary of content that is verified as complete."""
    return Content("video_1", "video", len(data), "video/mp4", hashlib.sha256(data).hexdigest(), end_verified=True)


CONTENT = content_of(b"abcdef")
