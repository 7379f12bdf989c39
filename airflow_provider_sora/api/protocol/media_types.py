"""Content types of images and videos, by their first bytes."""

from __future__ import annotations

from airflow_provider_sora.api.protocol.requests import Variant

# Enough bytes to determine the type: RIFF....WEBP is the longest signature.
HEAD_BYTES = 12

EXTENSIONS: dict[str, str] = {"video/mp4": "mp4", "image/webp": "webp", "image/jpeg": "jpg", "image/png": "png"}
TYPES_OF_VARIANT: dict[Variant, tuple[str, ...]] = {
    "video": ("video/mp4",),
    "thumbnail": ("image/webp", "image/jpeg", "image/png"),
    "spritesheet": ("image/jpeg", "image/webp", "image/png"),
}


def sniff(head: bytes) -> str | None:
    """The content type by the first bytes; the ``Content-Type`` of servers is often wrong."""
    if head[4:8] == b"ftyp":
        return "video/mp4"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[:3] == b"\xff\xd8\xff":
        return "image/jpeg"
    return "image/png" if head[:8] == b"\x89PNG\r\n\x1a\n" else None
