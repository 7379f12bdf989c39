from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from airflow_provider_sora.api.protocol.uploads import image, video
from airflow_provider_sora.exceptions import SoraConfigError
from tests.pictures import png

MP4 = b"\x00\x00\x00\x20ftypisom"


def test_an_image_gets_the_type_its_bytes_show_whatever_its_name_says() -> None:
    content = png((4, 4))
    upload = image(content, "cat.jpg")
    assert (upload.filename, upload.content_type, upload.content) == ("cat.png", "image/png", content)


@pytest.mark.parametrize("content", [b"hello", MP4, b""])
def test_what_is_no_image_is_refused_by_name(content: bytes) -> None:
    with pytest.raises(SoraConfigError, match=r"'notes\.png' is .*; it has to be a JPEG, PNG or WebP image"):
        image(content, "notes.png")


def test_a_video_has_to_be_one() -> None:
    assert video(MP4, "clip").filename == "clip.mp4"
    with pytest.raises(SoraConfigError, match="'clip' is image/png; it has to be an MP4 video"):
        video(png((4, 4)), "clip")


def test_an_image_of_the_right_size_is_sent_as_it_is() -> None:
    content = png((64, 32))
    assert image(content, "a", size="64x32").content == content
    assert image(content, "a", size="768P").content == content
    assert image(content, "a").content == content


def test_an_image_of_another_size_is_refused_with_both_sizes_and_the_way_out() -> None:
    with pytest.raises(SoraConfigError, match=r"'a\.png' is 64x32, the video 32x32: .*set fit to .cover. or .contain."):
        image(png((64, 32)), "a", size="32x32")


@pytest.mark.parametrize(("fit", "corner"), [("cover", (200, 40, 40)), ("contain", (0, 0, 0))])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_an_image_is_resized_when_that_is_asked_for(fit: Any, corner: tuple[int, ...], kind: str) -> None:
    upload = image(png((64, 32), kind), "a", size="32x32", fit=fit)
    with Image.open(io.BytesIO(upload.content)) as made:
        assert (made.size, made.format) == ((32, 32), kind)
        pixel = made.convert("RGB").getpixel((0, 0))
    assert isinstance(pixel, tuple)
    assert all(abs(one - other) < 30 for one, other in zip(pixel, corner, strict=True))


def test_a_broken_image_is_named() -> None:
    with pytest.raises(SoraConfigError, match=r"'a\.jpg' cannot be read as an image"):
        image(b"\xff\xd8\xff broken", "a", size="32x32")


def png_of(width: int, height: int) -> bytes:
    """A PNG whose head tells of so many pixels."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", len(head)) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


@pytest.mark.parametrize("side", [7_072, 10_000, 20_000, 60_000])
def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(side: int) -> None:
    with pytest.raises(
        SoraConfigError, match=r"'a\.png' (has .* pixels, more than|cannot be read .*DecompressionBomb)"
    ):
        image(png_of(side, side), "a", size="64x64", fit="cover")


@pytest.mark.parametrize("size", ["0x0", "0x64", "10000x10000"])
def test_a_size_that_no_image_has_is_refused(size: str) -> None:
    with pytest.raises(SoraConfigError, match=f"size is {size}; an image for it has 1 to 50000000 pixels"):
        image(png((4, 4)), "a", size=size, fit="cover")


@given(st.data())
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_an_image_that_is_broken_anywhere_is_an_error_of_ours(kind: str, data: st.DataObject) -> None:
    content = bytearray(png((40, 30), kind))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(content)))
    with suppress(SoraConfigError):
        image(bytes(content[:end]), "a", size="16x16", fit=data.draw(st.sampled_from(["cover", "contain", None])))
