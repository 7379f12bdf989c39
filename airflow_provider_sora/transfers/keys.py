"""Key templates: checked when the DAG is parsed, and filled with values that are safe in a path."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from string import Formatter

from airflow_provider_sora.api.protocol.media_types import EXTENSIONS
from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.masking import quoted

FIELDS = ("id", "slug", "variant", "extension")
_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_JINJA_PREFIXES = ("{{", "{%", "{#")
_LOCAL_SCHEMES = frozenset({"file", "local"})  # fsspec's names for the disks of this machine
_MAX_BYTES = 1024  # of a key, in S3 and in Google Cloud Storage


def require_text(name: str, value: object) -> str:
    """An argument that comes from a template or another task and has to be a string.

    :raises SoraConfigError: it has another type
    """
    if not isinstance(value, str):
        raise SoraConfigError(f"{name} is {quoted(value)}; it has to be a string")
    return value


def bucket_and_key(scheme: str, bucket_name: str, bucket: object, key_name: str, key: object) -> tuple[str, str]:
    """The bucket and the key in it, of two arguments or of one URL with both.

    :param bucket_name: the name of the argument `bucket` in the operator; `key_name` is that of `key`
    :raises SoraConfigError: one of the two is missing, or is given twice
    """
    given_bucket, given_key = require_text(bucket_name, bucket or ""), require_text(key_name, key)
    prefix = f"{scheme}://"
    if given_key.startswith(prefix):
        url_bucket, _, url_key = given_key.removeprefix(prefix).partition("/")
        found = ("" if given_bucket else url_bucket, url_key)
    else:
        found = (given_bucket, given_key)
    if not all(found):
        raise SoraConfigError(
            f"{key_name} is {key!r} and {bucket_name} is {bucket!r}: give a bucket and a key, or one {prefix} URL "
            "with both"
        )
    return found


def check_template(template: object, variants: tuple[str, ...], *, slug: bool = False, videos: int = 1) -> None:
    """Check a key template, before or after Jinja has rendered it; another task's output is checked once it is known.

    :param slug: whether each video has a slug
    :raises SoraConfigError: it has an unknown field, or would give two files the same key
    """
    if not isinstance(template, str):
        return
    if template.endswith("/"):
        raise SoraConfigError(f"key {template!r} names a folder: add a file name, such as {{id}}.{{extension}}")
    names = _fields(template)
    unknown = sorted(names - set(FIELDS))
    if unknown:
        raise SoraConfigError(
            f"key {template!r} has {{{', '.join(unknown)}}}; it may have {', '.join(f'{{{name}}}' for name in FIELDS)}"
        )
    if "slug" in names and not slug:
        raise SoraConfigError(f"key {template!r} has {{slug}}: give the operator a slug")
    if len(variants) > 1 and "variant" not in names:
        raise SoraConfigError(f"key {template!r} would give {' and '.join(variants)} the same key: add {{variant}}")
    if videos > 1 and not names & {"id", "slug"}:
        raise SoraConfigError(f"key {template!r} would give {videos} videos the same key: add {{id}}")


def _fields(template: str) -> set[str]:
    """The names of the fields in a template, without those of Jinja."""
    try:
        fields = [field for field in Formatter().parse(_JINJA.sub("", template)) if field[1] is not None]
    except ValueError as error:
        raise SoraConfigError(
            f"key {template!r} is not a template: {error}; write {{{{ and }}}} for literal braces"
        ) from None
    if any(form or conversion for _, _, form, conversion in fields):
        raise SoraConfigError(f"key {template!r} has a field with a format or a conversion; write {{id}}, not {{id:…}}")
    return {str(name) for _, name, _, _ in fields}


def check_local_path(path: object) -> None:
    """Check that a path on this machine's disks is absolute, before or after Jinja has rendered it.

    With two slashes, ``file://mnt/x`` is the folder ``mnt`` below the task's working directory.

    :raises SoraConfigError: it is relative
    """
    if not isinstance(path, str) or path.startswith(_JINJA_PREFIXES):
        return
    scheme, separator, rest = path.partition("://")
    if not separator and not path.startswith("/"):
        raise SoraConfigError(
            f"path is {path!r}; it has to be absolute, or a URL: each task has a working directory of its own"
        )
    if scheme.lower() in _LOCAL_SCHEMES and not rest.startswith(("/", *_JINJA_PREFIXES)):
        raise SoraConfigError(
            f"path is {path!r}; {scheme}:// has to be followed by an absolute path, which begins with a third slash: "
            f"{scheme}:///{rest}"
        )


def fill_key(template: str, video_id: str, variant: str, content_type: str, slug: str = "") -> str:
    """The key of one file.

    :raises SoraConfigError: with the rendered values the key is not a safe path
    """
    key = template.format(id=safe_id(video_id), slug=slug, variant=variant, extension=EXTENSIONS[content_type])
    path = key.partition("://")[2] or key
    segments = path.split("/")
    has_file_name = segments[-1] not in ("", ".")
    has_control_character = re.search(r"[\x00-\x1f\x7f]", key)
    if ".." in segments or not has_file_name or has_control_character or len(path.encode()) > _MAX_BYTES:
        raise SoraConfigError(
            f"key {key[:200]!r} is not a safe path: it must not have a segment '..', a control character or more than "
            f"{_MAX_BYTES} bytes, and has to end with a file name"
        )
    return key


def safe_id(video_id: str) -> str:
    """An id as part of a path. Ids may be 300 characters of base64; one that has to be changed gets a digest."""
    safe = re.sub(r"[^A-Za-z0-9_.-]", "-", video_id).lstrip(".")
    if safe == video_id and len(safe) <= 80:
        return safe
    return f"{safe[:60]}-{hashlib.sha256(video_id.encode()).hexdigest()[:12]}"


def safe_slug(text: str) -> str:
    """A text as part of a path: ``A cat, at night!`` becomes ``a-cat-at-night``.

    :raises SoraConfigError: it has no character that a path can have
    """
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_text).strip("-")[:80].rstrip("-")
    if not slug:
        raise SoraConfigError(f"slug {text!r} has no letter or digit that a path can have")
    return slug
