"""Files to send with a request: the type their bytes show, and the pixel size a video starts from."""

from __future__ import annotations

import io
import re
from pathlib import PurePosixPath
from typing import Literal

from airflow_provider_sora.api.media_types import EXTENSIONS, HEAD_BYTES, sniff
from airflow_provider_sora.api.requests import Upload
from airflow_provider_sora.exceptions import SoraConfigError

Fit = Literal["cover", "contain"]


def picture(content: bytes, name: str, *, size: str | None = None, fit: Fit | None = None) -> Upload:
    """A picture to upload.

    :param size: ``"<width>x<height>"`` that the video is to have; servers refuse a picture of another size
    :param fit: make it that size: ``cover`` cuts off what is too much, ``contain`` adds bars; None refuses
    :raises SoraConfigError: it is not a JPEG, PNG or WebP, or has another size
    """
    upload = _upload(content, name, "image/", "a JPEG, PNG or WebP picture")
    wanted = re.fullmatch(r"(\d+)x(\d+)", size or "")
    if wanted is None:
        return upload
    return _fitted(upload, (int(wanted[1]), int(wanted[2])), fit)


def video(content: bytes, name: str) -> Upload:
    """A video to upload.

    :raises SoraConfigError: it is not an MP4
    """
    return _upload(content, name, "video/", "an MP4 video")


def _upload(content: bytes, name: str, kind: str, wanted: str) -> Upload:
    content_type = sniff(content[:HEAD_BYTES])
    if content_type is None or not content_type.startswith(kind):
        raise SoraConfigError(f"{name!r} is {content_type or 'of an unknown type'}; it has to be {wanted}")
    return Upload(content, f"{PurePosixPath(name).stem or 'file'}.{EXTENSIONS[content_type]}", content_type)


def _fitted(upload: Upload, size: tuple[int, int], fit: Fit | None) -> Upload:
    from PIL import Image, ImageOps

    try:
        opened = Image.open(io.BytesIO(upload.content))
    except OSError as error:
        raise SoraConfigError(f"{upload.filename!r} cannot be read as a picture: {error}") from None
    with opened:
        if opened.size == size:
            return upload
        if fit is None:
            raise SoraConfigError(
                f"{upload.filename!r} is {opened.width}x{opened.height}, the video {size[0]}x{size[1]}: they have to "
                'be the same. Give the picture that size, or set fit to "cover" or "contain"'
            )
        upright = ImageOps.exif_transpose(opened).convert("RGB")
        resized = ImageOps.fit(upright, size) if fit == "cover" else ImageOps.pad(upright, size)
    target = io.BytesIO()
    resized.save(target, upload.content_type.partition("/")[2].upper(), quality=95)
    return Upload(target.getvalue(), upload.filename, upload.content_type)
