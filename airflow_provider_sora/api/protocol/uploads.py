"""Files to send with a request: their type by their first bytes, and images of the video's size."""

from __future__ import annotations

import io
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from airflow_provider_sora.api.protocol.media_types import EXTENSIONS, HEAD_BYTES, sniff
from airflow_provider_sora.api.protocol.requests import InputFile
from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.masking import quoted

if TYPE_CHECKING:
    from PIL.Image import Image

Fit = Literal["cover", "contain"]

# A decoded pixel takes 3 or 4 bytes, several times while the image is resized; the largest video has 2 million.
MAX_PIXELS = 50_000_000


def image(content: bytes, name: str, *, size: str | None = None, fit: Fit | None = None) -> InputFile:
    """An image to upload.

    :param size: ``"<width>x<height>"``, the size of the video; servers reject an image of another size
    :param fit: how to bring the image to that size: ``cover`` crops it, ``contain`` adds bars; None rejects it
    :raises SoraConfigError: it is not a JPEG, PNG or WebP, is broken, or has another size
    """
    upload = _upload(content, name, "image/", "a JPEG, PNG or WebP image")
    wanted = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", size or "")
    if wanted is None:
        return upload
    return _fitted(upload, (int(wanted[1]), int(wanted[2])), fit)


def video(content: bytes, name: str) -> InputFile:
    """A video to upload.

    :raises SoraConfigError: it is not an MP4
    """
    return _upload(content, name, "video/", "an MP4 video")


def _upload(content: bytes, name: str, kind: str, wanted: str) -> InputFile:
    content_type = sniff(content[:HEAD_BYTES])
    if content_type is None or not content_type.startswith(kind):
        raise SoraConfigError(f"{quoted(name)} is {content_type or 'of an unknown type'}; it has to be {wanted}")
    return InputFile(content, f"{PurePosixPath(name).stem or 'file'}.{EXTENSIONS[content_type]}", content_type)


def _fitted(upload: InputFile, size: tuple[int, int], fit: Fit | None) -> InputFile:
    if not 0 < size[0] * size[1] <= MAX_PIXELS:
        raise SoraConfigError(f"size is {size[0]}x{size[1]}; an image for it has 1 to {MAX_PIXELS} pixels")
    try:
        return _resized(upload, size, fit)
    except SoraConfigError:
        raise
    except Exception as error:  # noqa: BLE001 - Pillow's decoders raise errors of any type for a broken file
        words = f"{type(error).__name__}: {error}"
        raise SoraConfigError(f"{quoted(upload.filename)} cannot be read as an image: {words}") from None


def _resized(upload: InputFile, size: tuple[int, int], fit: Fit | None) -> InputFile:
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(upload.content)) as opened:
        _check_pixels(upload, opened)
        if opened.size == size:
            return upload
        if fit is None:
            raise SoraConfigError(
                f"{quoted(upload.filename)} is {opened.width}x{opened.height}, the video {size[0]}x{size[1]}: they "
                'have to be the same. Resize the image, or set fit to "cover" or "contain"'
            )
        upright = ImageOps.exif_transpose(opened).convert("RGB")
        resized = ImageOps.fit(upright, size) if fit == "cover" else ImageOps.pad(upright, size)
    target = io.BytesIO()
    resized.save(target, upload.content_type.partition("/")[2].upper(), quality=95)
    return InputFile(target.getvalue(), upload.filename, upload.content_type)


def _check_pixels(upload: InputFile, opened: Image) -> None:
    """Check the size in the file's header, before anything is decoded."""
    if opened.width * opened.height > MAX_PIXELS:
        raise SoraConfigError(
            f"{quoted(upload.filename)} has {opened.width}x{opened.height} pixels, more than the {MAX_PIXELS} that are "
            "decoded: make it smaller"
        )
