"""Small pictures."""

from __future__ import annotations

import io

from PIL import Image


def png(size: tuple[int, int], kind: str = "PNG") -> bytes:
    """A picture of one colour."""
    target = io.BytesIO()
    Image.new("RGB", size, (200, 40, 40)).save(target, kind)
    return target.getvalue()
