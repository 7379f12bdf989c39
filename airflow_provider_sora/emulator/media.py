"""Renders real files: an H.264 MP4 with a moving ball and the prompt, a thumbnail, a spritesheet."""

from __future__ import annotations

import io
import tempfile
import textwrap
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import av
from PIL import Image, ImageDraw, ImageFont

FRAMES_PER_SECOND = 24
_SHEET_COLUMNS, _SHEET_ROWS = 4, 3


def frame_size(size: str) -> tuple[int, int]:
    """Width and height in pixels of ``"<width>x<height>"``; both even, as H.264 needs them."""
    width, _, height = size.partition("x")
    pair = (int(width), int(height)) if width.isdigit() and height.isdigit() else (0, 0)
    if not all(2 <= side <= 4096 and side % 2 == 0 for side in pair):
        raise ValueError(f"size is {size!r}; it has to be <width>x<height> in even pixels up to 4096")
    return pair


@lru_cache(maxsize=32)
def mp4(prompt: str, seconds: str, size: str) -> bytes:
    """An MP4 of exactly `seconds` at `size`, with the index in front, so that it plays while it loads."""
    width, height = frame_size(size)
    count = round(float(seconds) * FRAMES_PER_SECOND)
    with tempfile.TemporaryDirectory(prefix="sora-emulator-") as folder:
        path = Path(folder, "video.mp4")  # the muxer reads back what it has written to move the index: it needs a file
        with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
            stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options={"preset": "ultrafast"})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for frame in _frames(prompt, (width, height), count):
                container.mux(stream.encode(av.VideoFrame.from_image(frame)))
            container.mux(stream.encode())
        return path.read_bytes()


@lru_cache(maxsize=64)
def thumbnail(prompt: str, size: str) -> bytes:
    """A WebP of the first frame."""
    return _encoded(next(_frames(prompt, frame_size(size), 1)), "WEBP")


@lru_cache(maxsize=64)
def spritesheet(prompt: str, size: str) -> bytes:
    """A JPEG with twelve frames, evenly spaced over the video."""
    width, height = (side // 4 for side in frame_size(size))
    sheet = Image.new("RGB", (width * _SHEET_COLUMNS, height * _SHEET_ROWS))
    for index, frame in enumerate(_frames(prompt, frame_size(size), _SHEET_COLUMNS * _SHEET_ROWS)):
        row, column = divmod(index, _SHEET_COLUMNS)
        sheet.paste(frame.resize((width, height)), (column * width, row * height))
    return _encoded(sheet, "JPEG")


def _encoded(image: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def _frames(prompt: str, size: tuple[int, int], count: int) -> Iterator[Image.Image]:
    """`count` frames: the prompt on a background color derived from it, a ball that crosses it, and a progress bar."""
    width, height = size
    background = _background(prompt, size)
    radius = max(2, min(size) // 12)
    for index in range(count):
        share = index / max(count - 1, 1)
        frame = background.copy()
        draw = ImageDraw.Draw(frame)
        x, y = radius + share * (width - 2 * radius), height * (0.75 - 0.2 * (4 * share * (1 - share)))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(255, 214, 90))
        draw.rectangle((0, height - max(2, height // 60), int(share * width), height), fill=(255, 255, 255))
        yield frame


def _background(prompt: str, size: tuple[int, int]) -> Image.Image:
    width, height = size
    hue = sum(prompt.encode()) % 256
    background = Image.new("HSV", size, (hue, 140, 90)).convert("RGB")
    points = max(8, height // 18)
    font = ImageFont.load_default(size=points)
    columns = max(8, int(width / (0.6 * points)))
    lines = "\n".join(textwrap.wrap(prompt, columns)[:6])
    ImageDraw.Draw(background).multiline_text((width // 20, height // 12), lines, font=font, fill=(240, 240, 240))
    return background
