"""Object metadata: what identifies a file in a store and is kept beside its bytes, with the version of this format.

Version 1 has three names:

- ``sora-video-id``: the video's id, percent-encoded where a character is not allowed in a header
- ``sora-variant``: ``video``, ``thumbnail`` or ``spritesheet``
- ``sha256``: the digest in hex, added once the content is verified as complete (on S3 it may be a tag)

An object with these names but without ``sora-metadata-version`` has version 1: the first release wrote none. A change
that an older reader could misunderstand needs a new version, and a golden file in ``tests/golden/object_metadata``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from airflow_provider_sora import __version__
from airflow_provider_sora.api.content.reading import Content
from airflow_provider_sora.api.protocol.requests import Variant
from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.masking import quoted

VERSION = 1

VERSION_KEY = "sora-metadata-version"
VIDEO_KEY = "sora-video-id"
VARIANT_KEY = "sora-variant"
DIGEST_KEY = "sha256"

RESERVED_KEYS = frozenset({VERSION_KEY, VIDEO_KEY, VARIANT_KEY, DIGEST_KEY})

_VERSION = re.compile(r"[1-9][0-9]{0,5}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def identity(video_id: str, variant: Variant) -> dict[str, str]:
    """The metadata that is known before the content is: version, video and variant. ASCII, as S3 requires."""
    return {VERSION_KEY: str(VERSION), VIDEO_KEY: _ascii(video_id), VARIANT_KEY: variant}


def digest(content: Content) -> dict[str, str]:
    """The SHA-256 of content that is verified as complete: a file that has it does not need to be moved again."""
    return {DIGEST_KEY: content.sha256} if content.end_verified else {}


def with_lower_case_names(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """A store's metadata with the names as they were written: some stores change upper and lower case."""
    return {name.lower(): value for name, value in (metadata or {}).items()}


def identifies(metadata: Mapping[str, str], video_id: str, variant: Variant) -> bool:
    """Whether metadata that this version can read names this variant of this video."""
    named = (metadata.get(VIDEO_KEY), metadata.get(VARIANT_KEY))
    return problem(metadata) is None and named == (_ascii(video_id), variant)


def problem(metadata: Mapping[str, str]) -> str | None:
    """Why this version cannot read the metadata, as a clause; None where it can, or where nothing here wrote it."""
    version = metadata.get(VERSION_KEY, str(VERSION))
    if not _VERSION.fullmatch(version):
        return f"its object metadata is damaged: {VERSION_KEY} is {quoted(version)}, which is not a version number"
    if int(version) > VERSION:
        return (
            f"its object metadata has version {version}, and airflow-provider-sora {__version__} reads up to version "
            f"{VERSION}: upgrade airflow-provider-sora"
        )
    stated = metadata.get(DIGEST_KEY)
    if VIDEO_KEY in metadata and stated is not None and not _SHA256.fullmatch(stated):
        return f"its object metadata is damaged: {DIGEST_KEY} is {quoted(stated)}, which is not a SHA-256 in hex"
    return None


def check_not_reserved(argument: str, names: Iterable[str]) -> None:
    """Check the names of a user's own metadata or tags.

    :raises SoraConfigError: one is a name by which files are recognized
    """
    reserved = sorted(name for name in map(str, names) if name.lower() in RESERVED_KEYS)
    if reserved:
        raise SoraConfigError(
            f"{argument} has {', '.join(reserved)}, which airflow-provider-sora writes itself to recognize stored "
            "files: choose another name"
        )


def _ascii(text: str) -> str:
    return quote(text, safe="=/+:@,~")
