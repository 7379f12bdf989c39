"""What a video can start from, in whatever form a user has it: a picture or a video as path, URI, URL, bytes or id."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import unquote_to_bytes, urlsplit

from airflow_provider_sora.api import uploads
from airflow_provider_sora.api.encoding import data_url
from airflow_provider_sora.api.requests import Reference, Upload
from airflow_provider_sora.api.uploads import Fit
from airflow_provider_sora.exceptions import SoraConfigError

ReferenceAs = Literal["upload", "object"]
Fetch = Callable[[str], bytes]

_FILE_ID = re.compile(r"file[-_][A-Za-z0-9]+")


def picture(
    source: Any,
    *,
    fetch: Fetch,
    size: str | None = None,
    fit: Fit | None = None,
    reference_as: ReferenceAs = "upload",
    storage_conn_id: str | None = None,
) -> Upload | Reference:
    """A picture for `input_reference`.

    :param source: a local path, an ObjectStoragePath or its URI, bytes, an http(s) or data URL, a file id such as
        ``file-123``, or the API's own object with one of ``file_id`` and ``image_url``
    :param fetch: gets what a URL holds
    :param size: the video's, which the picture has to have
    :param fit: resize it otherwise
    :param reference_as: ``upload`` sends a file, which every server understands; ``object`` the API's reference object
    :raises SoraConfigError: it cannot be read, is no picture, or has another size
    """
    _check_choice("fit", fit, (None, *get_args(Fit)))
    _check_choice("reference_as", reference_as, get_args(ReferenceAs))
    if isinstance(source, Mapping):
        return _reference_object(source)
    if isinstance(source, str) and _is_file_id(source):
        return {"file_id": source}
    if reference_as == "object" and isinstance(source, str) and source.startswith(("http://", "https://", "data:")):
        return {"image_url": source}
    content, name = _read("input_reference", source, fetch, storage_conn_id)
    upload = uploads.picture(content, name, size=size, fit=fit)
    return {"image_url": data_url(upload)} if reference_as == "object" else upload


def video(source: Any, *, fetch: Fetch, storage_conn_id: str | None = None) -> Upload | Reference:
    """The video that an extension, an edit or a character starts from.

    :param source: a video id, the manifest of an earlier task, or a file in any form that `picture` takes
    :raises SoraConfigError: it cannot be read, or is no MP4
    """
    video_id = video_id_of(source)
    if video_id is not None:
        return {"id": video_id}
    content, name = _read("video", source, fetch, storage_conn_id)
    return uploads.video(content, name)


def video_id_of(source: Any) -> str | None:
    """The id that a source is, or that its manifest holds; None where it is a file."""
    if isinstance(source, Mapping):
        found = source.get("id")
        if not isinstance(found, str) or not found:
            raise SoraConfigError(f"video is {str(source)[:100]!r}; a manifest has an id")
        return found
    return None if not isinstance(source, str) or _is_location(source) else source


def _is_location(text: str) -> bool:
    return not text or "://" in text or text.startswith(("data:", "/", "./", "../", "~", "{")) or _exists(text)


def _is_file_id(text: str) -> bool:
    return _FILE_ID.fullmatch(text) is not None and not _exists(text)


def _exists(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False


def _reference_object(source: Mapping[str, Any]) -> Reference:
    if len(source) != 1 or next(iter(source)) not in ("file_id", "image_url"):
        raise SoraConfigError(
            f"input_reference is {str(dict(source))[:100]!r}; as an object it has exactly one of file_id and image_url"
        )
    return {str(name): str(value) for name, value in source.items()}


def _read(field: str, source: Any, fetch: Fetch, storage_conn_id: str | None) -> tuple[bytes, str]:
    if isinstance(source, bytes):
        return source, field
    text = source if isinstance(source, str) else ""
    if text.startswith(("http://", "https://")):
        return fetch(text), urlsplit(text).path.rpartition("/")[2] or field
    if text.startswith("data:"):
        return _decode(field, text), field
    return _read_path(field, source, storage_conn_id)


def _decode(field: str, url: str) -> bytes:
    head, comma, data = url.partition(",")
    try:
        return base64.b64decode(data, validate=True) if head.endswith(";base64") else unquote_to_bytes(data)
    except ValueError:
        raise SoraConfigError(f"{field} is a data URL that cannot be decoded: {head}{comma}…") from None


def _read_path(field: str, source: Any, storage_conn_id: str | None) -> tuple[bytes, str]:
    from airflow_provider_sora.compat import ObjectStoragePath

    if not source or not isinstance(source, str | Path | ObjectStoragePath):
        raise SoraConfigError(f"{field} is {str(source)[:100]!r}; it has to be a path, a URL, bytes or an id")
    connection = {"conn_id": storage_conn_id} if storage_conn_id else {}
    is_uri = isinstance(source, str) and "://" in source
    path = (
        ObjectStoragePath(source, **connection) if is_uri else source if not isinstance(source, str) else Path(source)
    )
    try:
        return path.read_bytes(), path.name
    except OSError as error:
        raise SoraConfigError(f"{field} {str(source)!r} cannot be read: {error.strerror or error}") from None


def _check_choice(name: str, value: Any, allowed: tuple[Any, ...]) -> None:
    if value not in allowed:
        raise SoraConfigError(f"{name} is {value!r}; it has to be one of {', '.join(map(repr, allowed))}")
