"""Where a file goes: a template for its key, filled with parts that are safe in a path."""

from __future__ import annotations

import hashlib
import re
from string import Formatter

from airflow_provider_sora.api.media_types import EXTENSIONS
from airflow_provider_sora.exceptions import SoraConfigError

PARTS = ("id", "variant", "extension")
_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)


def check_key(template: object, variants: tuple[str, ...], *, videos: int = 1) -> None:
    """Check a key template, before or after Jinja has rendered it; one that comes from another task waits for that.

    :raises SoraConfigError: it has an unknown part, or would give two files one key
    """
    if not isinstance(template, str):
        return
    bare = _JINJA.sub("", template)
    try:
        names = {name for _, name, _, _ in Formatter().parse(bare) if name is not None}
    except ValueError as error:
        raise SoraConfigError(f"key {template!r} is no template: {error}; write {{{{ and }}}} for braces") from None
    unknown = sorted(names - set(PARTS))
    if unknown:
        raise SoraConfigError(
            f"key {template!r} has {{{', '.join(unknown)}}}; it may have {', '.join(f'{{{part}}}' for part in PARTS)}"
        )
    if len(variants) > 1 and "variant" not in names:
        raise SoraConfigError(f"key {template!r} would give {' and '.join(variants)} one key: put {{variant}} into it")
    if videos > 1 and "id" not in names:
        raise SoraConfigError(f"key {template!r} would give {videos} videos one key: put {{id}} into it")


def fill_key(template: str, video_id: str, variant: str, content_type: str) -> str:
    """The key for one file."""
    return template.format(id=safe_id(video_id), variant=variant, extension=EXTENSIONS[content_type])


def safe_id(video_id: str) -> str:
    """An id as part of a path: ids may be 300 characters of base64; what is changed gets a digest, to stay unique."""
    safe = re.sub(r"[^A-Za-z0-9_.-]", "-", video_id).lstrip(".")
    if safe == video_id and len(safe) <= 80:
        return safe
    return f"{safe[:60]}-{hashlib.sha256(video_id.encode()).hexdigest()[:12]}"
