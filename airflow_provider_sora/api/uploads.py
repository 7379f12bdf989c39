"""Files to send with a request."""

from __future__ import annotations

from pathlib import Path

from airflow_provider_sora.api.media_types import EXTENSIONS, HEAD_BYTES, sniff
from airflow_provider_sora.api.requests import Upload
from airflow_provider_sora.exceptions import SoraConfigError


def picture(source: str | Path | bytes) -> Upload:
    """A picture to upload, from a local path or from its bytes, with the content type that its bytes show.

    :raises SoraConfigError: there is no such file, or it is not a JPEG, PNG or WebP
    """
    if isinstance(source, bytes):
        content, name = source, "reference"
    else:
        content, name = _read(Path(source)), Path(source).stem
    content_type = sniff(content[:HEAD_BYTES])
    if content_type is None or not content_type.startswith("image/"):
        raise SoraConfigError(
            f"input_reference {name!r} is {content_type or 'of an unknown type'}; it has to be JPEG, PNG or WebP"
        )
    return Upload(content, f"{name}.{EXTENSIONS[content_type]}", content_type)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SoraConfigError(f"input_reference {str(path)!r} cannot be read: {error.strerror}") from None
