"""Real files for pretended videos: an H.264 MP4 that moves and shows the prompt, a thumbnail, a spritesheet."""

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
    """An MP4 of exactly `seconds` at `size`, its index in front so that it plays while loading."""
    width, height = frame_size(size)
    count = round(float(seconds) * FRAMES_PER_SECOND)
    with tempfile.TemporaryDirectory(prefix="sora-emulator-") as folder:
        path = Path(folder, "video.mp4")  # the muxer moves the index by reading back: it needs a file
        with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
            stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options={"preset": "ultrafast"})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for picture in _pictures(prompt, (width, height), count):
                container.mux(stream.encode(av.VideoFrame.from_image(picture)))
            container.mux(stream.encode())
        return path.read_bytes()


@lru_cache(maxsize=64)
def thumbnail(prompt: str, size: str) -> bytes:
    """A WebP of the first picture."""
    return _encoded(next(_pictures(prompt, frame_size(size), 1)), "WEBP")


@lru_cache(maxsize=64)
def spritesheet(prompt: str, size: str) -> bytes:
    """A JPEG with twelve pictures over the video's length."""
    width, height = (side // 4 for side in frame_size(size))
    sheet = Image.new("RGB", (width * _SHEET_COLUMNS, height * _SHEET_ROWS))
    for index, picture in enumerate(_pictures(prompt, frame_size(size), _SHEET_COLUMNS * _SHEET_ROWS)):
        row, column = divmod(index, _SHEET_COLUMNS)
        sheet.paste(picture.resize((width, height)), (column * width, row * height))
    return _encoded(sheet, "JPEG")


def _encoded(picture: Image.Image, kind: str) -> bytes:
    target = io.BytesIO()
    picture.save(target, kind)
    return target.getvalue()


def _pictures(prompt: str, size: tuple[int, int], count: int) -> Iterator[Image.Image]:
    """`count` pictures: the prompt on a colour of its own, a ball crossing it, a bar of the time that has passed."""
    width, height = size
    background = _titled(prompt, size)
    radius = max(2, min(size) // 12)
    for index in range(count):
        share = index / max(count - 1, 1)
        picture = background.copy()
        draw = ImageDraw.Draw(picture)
        x, y = radius + share * (width - 2 * radius), height * (0.75 - 0.2 * (4 * share * (1 - share)))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(255, 214, 90))
        draw.rectangle((0, height - max(2, height // 60), int(share * width), height), fill=(255, 255, 255))
        yield picture


def _titled(prompt: str, size: tuple[int, int]) -> Image.Image:
    width, height = size
    hue = sum(prompt.encode()) % 256
    background = Image.new("HSV", size, (hue, 140, 90)).convert("RGB")
    points = max(8, height // 18)
    font = ImageFont.load_default(size=points)
    columns = max(8, int(width / (0.6 * points)))
    lines = "\n".join(textwrap.wrap(prompt, columns)[:6])
    ImageDraw.Draw(background).multiline_text((width // 20, height // 12), lines, font=font, fill=(240, 240, 240))
    return background
