"""What a video can start from: an image or a video as path, URI, URL, bytes or id.

A source is parsed into one of a closed set of kinds, and each kind is read in its own way. Only the address of an
object store whose provider is installed reaches fsspec, which would follow any URL and any chain of them.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, get_args
from urllib.parse import unquote_to_bytes

from airflow_provider_sora.api.content.opening import MAX_FETCH_BYTES
from airflow_provider_sora.api.protocol import uploads
from airflow_provider_sora.api.protocol.encoding import data_url
from airflow_provider_sora.api.protocol.ids import check_id
from airflow_provider_sora.api.protocol.requests import InputFile, Reference
from airflow_provider_sora.api.protocol.uploads import Fit
from airflow_provider_sora.exceptions import SoraConfigError, SoraConnectionError
from airflow_provider_sora.local_files import check_length, read_file
from airflow_provider_sora.masking import bare_url, masked, quoted


class StoragePath(Protocol):
    """An Airflow ``ObjectStoragePath``, whose import takes long."""

    def open(self, mode: str = "r", **kwargs: Any) -> Any:
        """Open the object."""


FileSource: TypeAlias = str | Path | StoragePath | bytes | bytearray | memoryview
ImageSource: TypeAlias = FileSource | Mapping[str, str]  # a text may be a file id, a mapping the API's reference object
VideoRef: TypeAlias = str | Mapping[str, Any]  # an id, or a manifest
VideoSource: TypeAlias = FileSource | VideoRef
CharacterRef: TypeAlias = str | Mapping[str, Any]  # an id, or what a character task returned
ReferenceAs: TypeAlias = Literal["upload", "object"]
Fetch: TypeAlias = Callable[[str], bytes]
AllowedPaths: TypeAlias = Callable[[], Sequence[str] | None]

MAX_IMAGE_BYTES = MAX_FETCH_BYTES
MAX_VIDEO_BYTES = 536_870_912  # no server states a limit; a video is in memory while it is sent

_FILE_ID = re.compile(r"file[-_][A-Za-z0-9]+")
_SCHEME = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_LOCAL_SCHEMES = frozenset({"file", "local"})


@dataclass(frozen=True)
class LocalPath:
    """A file on this machine."""

    path: str


@dataclass(frozen=True)
class StoredObject:
    """A file in an object store whose provider is installed; `path` is set if the source was an ObjectStoragePath."""

    uri: str
    path: Any = None


@dataclass(frozen=True)
class WebUrl:
    """An ``http://`` or ``https://`` URL, which is fetched only from public addresses (`api.http.public_urls`)."""

    url: str


@dataclass(frozen=True)
class DataUrl:
    """A ``data:`` URL."""

    url: str


@dataclass(frozen=True)
class InlineBytes:
    """The bytes themselves."""

    content: bytes


Source = LocalPath | StoredObject | WebUrl | DataUrl | InlineBytes


def _all_paths() -> None:
    return None


def image(
    source: ImageSource,
    *,
    fetch: Fetch,
    size: str | None = None,
    fit: Fit | None = None,
    reference_as: ReferenceAs = "upload",
    storage_conn_id: str | None = None,
    allowed_paths: AllowedPaths = _all_paths,
) -> InputFile | Reference:
    """An image for `input_reference`.

    :param source: a local path, an ObjectStoragePath or its URI, bytes, an http(s) or data URL, a file id such as
        ``file-123``, or the API's own object with one of ``file_id`` and ``image_url``
    :param fetch: returns the content of a URL
    :param size: the size of the video, which the image must have
    :param fit: resize an image of another size
    :param reference_as: ``upload`` sends a file, which every server understands; ``object`` the API's reference object
    :param allowed_paths: returns the paths that local files may be read from; called only for local files
    :raises SoraConfigError: the source cannot be read, is not an image, or has another size
    :raises SoraConnectionError: the object store failed
    """
    _check_choice("fit", fit, (None, *get_args(Fit)))
    _check_choice("reference_as", reference_as, get_args(ReferenceAs))
    if isinstance(source, Mapping):
        return _reference_object(source)
    if isinstance(source, str) and _is_file_id(source):
        return {"file_id": source}
    parsed = parse("input_reference", source)
    if reference_as == "object" and isinstance(parsed, WebUrl | DataUrl):
        return {"image_url": parsed.url}
    reader = _Reader("input_reference", MAX_IMAGE_BYTES, fetch, storage_conn_id, allowed_paths)
    upload = uploads.image(*reader.read(parsed), size=size, fit=fit)
    return {"image_url": data_url(upload)} if reference_as == "object" else upload


def video(
    source: VideoSource, *, fetch: Fetch, storage_conn_id: str | None = None, allowed_paths: AllowedPaths = _all_paths
) -> InputFile | Reference:
    """A video for an extension, an edit or a character.

    :param source: a video id, the manifest of an earlier task, or a file in any form that `image` takes
    :raises SoraConfigError: the source cannot be read, or is not an MP4
    :raises SoraConnectionError: the object store failed
    """
    video_id = video_id_of(source)
    if video_id is not None:
        return {"id": video_id}
    reader = _Reader("video", MAX_VIDEO_BYTES, fetch, storage_conn_id, allowed_paths)
    return uploads.video(*reader.read(parse("video", source)))


def video_id_of(source: Any) -> str | None:
    """The id in a source, or in its manifest; None for a file.

    :raises SoraConfigError: it is neither
    """
    if isinstance(source, Mapping):
        found = source.get("id")
        if not isinstance(found, str) or not found:
            raise SoraConfigError(f"video is {quoted(source)}; a manifest has an id")
        return check_id("video", found)
    if not isinstance(source, str) or _is_location(source):
        return None
    try:
        return check_id("video", source)
    except SoraConfigError as error:
        raise SoraConfigError(f"{error}; and no file has that name") from None


def check_ids(value: Any) -> None:
    """Check ids that are known while the DAG is parsed.

    :param value: an id or a list of ids; anything else is ignored
    :raises SoraConfigError: one of them is invalid
    """
    for item in value if isinstance(value, list | tuple) else [value]:
        if isinstance(item, str):
            video_id_of(item)


def _is_location(text: str) -> bool:
    starts = ("data:", "/", "./", "../", "~", "{")
    return not text or "://" in text or text.lower().startswith(starts) or _exists(text)


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
            f"input_reference is {quoted(dict(source))}; as an object it has exactly one of file_id and image_url"
        )
    return {str(name): str(value) for name, value in source.items()}


def parse(field: str, source: Any) -> Source:
    """The kind of a source.

    :raises SoraConfigError: a video cannot start from it
    """
    from airflow_provider_sora.compat import ObjectStoragePath

    if isinstance(source, bytes | bytearray | memoryview):
        return InlineBytes(bytes(source))
    if isinstance(source, ObjectStoragePath):
        parsed = _parse_text(field, str(source))
        return StoredObject(parsed.uri, source) if isinstance(parsed, StoredObject) else parsed
    if not isinstance(source, str | Path) or not str(source):
        raise SoraConfigError(f"{field} is {quoted(source)}; it has to be a path, a URL, bytes or an id")
    return _parse_text(field, str(source))


def _parse_text(field: str, text: str) -> Source:
    if text != text.strip() or _CONTROL.search(text):
        raise SoraConfigError(f"{field} is {quoted(text)}; it must not have space around it or control characters")
    if text[:5].lower() == "data:":
        return DataUrl(text)
    if "://" not in text:
        return LocalPath(text)
    found = _SCHEME.fullmatch(text)
    scheme = found["name"].lower() if found else ""
    if found and scheme in ("http", "https"):
        return WebUrl(text)
    if found and scheme in _LOCAL_SCHEMES:
        return _local_uri(field, text, found["rest"])
    if not found or "::" in text or not _has_object_store(scheme):
        raise SoraConfigError(
            f"{field} is {quoted(text)}; it has to be a path, an http(s) or data URL, or the address of an object "
            "store whose provider is installed, without a chain (::)"
        )
    return StoredObject(f"{scheme}://{found['rest']}")


def _local_uri(field: str, text: str, rest: str) -> LocalPath:
    if not rest.startswith("/"):
        raise SoraConfigError(f"{field} is {quoted(text)}; a file's URI has three slashes: file:///{rest.lstrip('/')}")
    return LocalPath(rest)


def _has_object_store(scheme: str) -> bool:
    """Whether an installed provider has an object store for a scheme."""
    from airflow_provider_sora.compat import has_fs

    return has_fs(scheme)


@dataclass(frozen=True)
class _Reader:
    """Reads sources: the bytes, of which `limit` are allowed, and a file name."""

    field: str
    limit: int
    fetch: Fetch
    storage_conn_id: str | None
    allowed_paths: AllowedPaths

    def read(self, source: Source) -> tuple[bytes, str]:
        match source:
            case InlineBytes(content):
                name = self.field
            case DataUrl(url):
                content, name = self._decode(url), self.field
            case WebUrl(url):
                content, name = self.fetch(url), _last_part(bare_url(url).partition("://")[2]) or self.field
            case LocalPath(path):
                content = read_file(self.field, path, limit=self.limit, allowed=self.allowed_paths())
                name = os.path.basename(path)
            case StoredObject(uri, path):
                content, name = self._read_stored(uri, path), os.path.basename(uri)
        check_length(self.field, content, self.limit)
        return content, name

    def _decode(self, url: str) -> bytes:
        head, comma, data = url.partition(",")
        if len(data) > 2 * self.limit:
            raise SoraConfigError(f"{self.field} is a data URL of {len(url)} characters, more than the limit allows")
        try:
            return base64.b64decode(data, validate=True) if head.endswith(";base64") else unquote_to_bytes(data)
        except ValueError:
            raise SoraConfigError(
                f"{self.field} is a data URL that cannot be decoded: {masked(head[:100])}{comma}…"
            ) from None

    def _read_stored(self, uri: str, path: Any) -> bytes:
        from airflow_provider_sora.compat import ObjectStoragePath

        connection = {"conn_id": self.storage_conn_id} if self.storage_conn_id else {}
        try:
            path = path or ObjectStoragePath(uri, **connection)
            with path.open("rb") as file:
                return bytes(file.read(self.limit + 1))
        except (FileNotFoundError, PermissionError, IsADirectoryError, ImportError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise SoraConfigError(f"{self.field} {quoted(uri)} cannot be read: {reason}") from None
        except Exception as error:  # noqa: BLE001 - each object store has errors of its own
            raise SoraConnectionError(
                f"{self.field} {quoted(uri)} cannot be read: {type(error).__name__}: {error}"
            ) from None


def _last_part(path: str) -> str:
    return path.partition("/")[2].rpartition("/")[2]


def _check_choice(name: str, value: Any, allowed: tuple[Any, ...]) -> None:
    if value not in allowed:
        raise SoraConfigError(f"{name} is {quoted(value)}; it has to be one of {', '.join(map(repr, allowed))}")
