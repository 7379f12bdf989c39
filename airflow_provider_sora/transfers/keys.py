"""Where a file goes: a template for its key, filled with parts that are safe in a path."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from string import Formatter

from airflow_provider_sora.api.protocol.media_types import EXTENSIONS
from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.masking import quoted

PARTS = ("id", "slug", "variant", "extension")
_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_JINJA_BEGINS = ("{{", "{%", "{#")
_LOCAL_SCHEMES = frozenset({"file", "local"})  # fsspec's names for the disks of this machine
_MAX_BYTES = 1024  # of a key in S3 and in Google's storage


def text_of(name: str, value: object) -> str:
    """A field that a template or another task has given, and that has to be a text.

    :raises SoraConfigError: it is something else
    """
    if not isinstance(value, str):
        raise SoraConfigError(f"{name} is {quoted(value)}; it has to be a text")
    return value


def check_key(template: object, variants: tuple[str, ...], *, slug: bool = False, videos: int = 1) -> None:
    """Check a key template, before or after Jinja has rendered it; one that comes from another task waits for that.

    :param slug: whether each video has a slug
    :raises SoraConfigError: it has an unknown part, or would give two files one key
    """
    if not isinstance(template, str):
        return
    if template.endswith("/"):
        raise SoraConfigError(
            f"key {template!r} names a folder: put a file's name behind it, such as {{id}}.{{extension}}"
        )
    bare = _JINJA.sub("", template)
    try:
        fields = [field for field in Formatter().parse(bare) if field[1] is not None]
    except ValueError as error:
        raise SoraConfigError(f"key {template!r} is no template: {error}; write {{{{ and }}}} for braces") from None
    names = {str(name) for _, name, _, _ in fields}
    if any(form or conversion for _, _, form, conversion in fields):
        raise SoraConfigError(f"key {template!r} has a part with a format or a conversion; write {{id}}, not {{id:…}}")
    unknown = sorted(names - set(PARTS))
    if unknown:
        raise SoraConfigError(
            f"key {template!r} has {{{', '.join(unknown)}}}; it may have {', '.join(f'{{{part}}}' for part in PARTS)}"
        )
    if "slug" in names and not slug:
        raise SoraConfigError(f"key {template!r} has {{slug}}: give the operator a slug")
    if len(variants) > 1 and "variant" not in names:
        raise SoraConfigError(f"key {template!r} would give {' and '.join(variants)} one key: put {{variant}} into it")
    if videos > 1 and not names & {"id", "slug"}:
        raise SoraConfigError(f"key {template!r} would give {videos} videos one key: put {{id}} into it")


def check_local(path: object) -> None:
    """Check that a path on this machine's disks is absolute, before or after Jinja has rendered it.

    With two slashes, ``file://mnt/x`` is the folder ``mnt`` below wherever the task happens to run.

    :raises SoraConfigError: it is not
    """
    if not isinstance(path, str) or path.startswith(_JINJA_BEGINS):
        return
    scheme, separator, rest = path.partition("://")
    if not separator and not path.startswith("/"):
        raise SoraConfigError(f"path is {path!r}; it has to be absolute, or a URL: tasks run in folders of their own")
    if scheme.lower() in _LOCAL_SCHEMES and not rest.startswith(("/", *_JINJA_BEGINS)):
        raise SoraConfigError(
            f"path is {path!r}; after {scheme}:// an absolute path has to follow, which begins with a third slash: "
            f"{scheme}:///{rest}"
        )


def fill_key(template: str, video_id: str, variant: str, content_type: str, slug: str = "") -> str:
    """The key for one file.

    :raises SoraConfigError: what was rendered into the template makes no safe path
    """
    key = template.format(id=safe_id(video_id), slug=slug, variant=variant, extension=EXTENSIONS[content_type])
    path = key.partition("://")[2] or key
    parts = path.split("/")
    if ".." in parts or parts[-1] in ("", ".") or re.search(r"[\x00-\x1f\x7f]", key) or len(path.encode()) > _MAX_BYTES:
        raise SoraConfigError(
            f"key {key[:200]!r} is no safe path: it may have no part '..', no control character, "
            f"no more than {_MAX_BYTES} bytes, and has to end with the name of a file"
        )
    return key


def safe_id(video_id: str) -> str:
    """An id as part of a path: ids may be 300 characters of base64; what is changed gets a digest, to stay unique."""
    safe = re.sub(r"[^A-Za-z0-9_.-]", "-", video_id).lstrip(".")
    if safe == video_id and len(safe) <= 80:
        return safe
    return f"{safe[:60]}-{hashlib.sha256(video_id.encode()).hexdigest()[:12]}"


def safe_slug(text: str) -> str:
    """A text as part of a path: ``A cat, at night!`` becomes ``a-cat-at-night``.

    :raises SoraConfigError: nothing is left of it
    """
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_text).strip("-")[:80].rstrip("-")
    if not slug:
        raise SoraConfigError(f"slug {text!r} has no letter or digit that a path could have")
    return slug
