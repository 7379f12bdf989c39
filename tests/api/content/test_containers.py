"""Whether a file is whole, by its container."""

from __future__ import annotations

import io
import struct
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from airflow_provider_sora.api.content.containers import Outcome, Verdict, container_of
from tests.media import FTYP, JPEG, PNG, WEBP, box, mp4, png_chunk

WHOLE, BROKEN, UNPROVED = Outcome.WHOLE, Outcome.BROKEN, Outcome.UNPROVED
MOOV, MDAT = box(b"moov", bytes(8)), box(b"mdat", bytes(20))
MIB = 1024 * 1024


def judge(content_type: str, content: bytes, step: int = 0) -> Verdict:
    container = container_of(content_type)
    for at in range(0, len(content), step or len(content) or 1):
        container.feed(content[at : at + (step or len(content))])
    return container.verdict()


def film(**options: str) -> bytes:
    """A real MP4."""
    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:  # moving the index to the front reads it again
        write_film(file.name, options)
        return Path(file.name).read_bytes()


def write_film(path: str, options: dict[str, str]) -> None:
    with av.open(path, "w", options=options) as output:
        stream = output.add_stream("h264", rate=Fraction(8))
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for number in range(16):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), number * 10, np.uint8))
            output.mux(stream.encode(frame))
        output.mux(stream.encode())


def picture(kind: str) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((97, 61), 40).convert("RGB").save(file, kind)
    return file.getvalue()


FILMS = {"as it comes": film(), "moov first": film(movflags="faststart")}
FRAGMENTED = film(movflags="frag_keyframe+empty_moov")
PICTURES = {f"image/{kind}": picture(kind) for kind in ("webp", "jpeg", "png")}


@pytest.mark.parametrize("step", [0, 1, 7, 1000])
@pytest.mark.parametrize("name", FILMS)
def test_a_real_film_is_whole_and_no_beginning_of_it_is(name: str, step: int) -> None:
    whole = FILMS[name]
    assert judge("video/mp4", whole, step) == (WHOLE, "")
    for cut in range(0, len(whole), 41):
        assert judge("video/mp4", whole[:cut], step).outcome is BROKEN


def test_a_real_film_in_fragments_is_whole_only_where_its_last_box_says_so() -> None:
    assert judge("video/mp4", FRAGMENTED).outcome is WHOLE
    last = FRAGMENTED.rindex(b"mfra") - 4
    assert judge("video/mp4", FRAGMENTED[:last]).outcome is UNPROVED
    for cut in range(0, last, 41):
        assert judge("video/mp4", FRAGMENTED[:cut]).outcome is not WHOLE


@pytest.mark.parametrize("step", [0, 1, 7])
@pytest.mark.parametrize("content_type", PICTURES)
def test_a_real_picture_is_whole_and_no_beginning_of_it_is(content_type: str, step: int) -> None:
    whole = PICTURES[content_type]
    assert judge(content_type, whole, step) == (WHOLE, "")
    assert judge(content_type, whole + b"what others hang on", step).outcome is WHOLE
    for cut in range(12, len(whole), 29):
        assert judge(content_type, whole[:cut], step).outcome is BROKEN


def large(kind: bytes, body: bytes) -> bytes:
    """A box whose size is written in 64 bits."""
    return struct.pack(">I4sQ", 1, kind, len(body) + 16) + body


def open_ended(kind: bytes, body: bytes) -> bytes:
    return bytes(4) + kind + body


OTHERS = box(b"free") + box(b"uuid", bytes(30)) + box(b"wide") + box(b"\xa9xyz", bytes(3))


@pytest.mark.parametrize(
    ("content", "outcome", "why"),
    [
        (b"\x00\x00\x00\x20ftypisom", BROKEN, "it has no moov and no mdat box"),
        (FTYP + MOOV, BROKEN, "it has no mdat box"),
        (FTYP + MDAT, BROKEN, "it has no moov box"),
        (FTYP + MDAT + MOOV[:-1], BROKEN, "it ends within its moov box, 1 bytes short"),
        (FTYP + MOOV + MDAT[:-3], BROKEN, "it ends within its mdat box, 3 bytes short"),
        (FTYP + MOOV + MDAT[:8], BROKEN, "it ends within its mdat box, 20 bytes short"),
        (FTYP + MOOV + MDAT[:7], BROKEN, "it has no mdat box"),
        (FTYP + MOOV + MDAT, WHOLE, ""),
        (MOOV + MDAT, WHOLE, ""),
        (FTYP + OTHERS + MDAT + OTHERS + MOOV + OTHERS, WHOLE, ""),
        (FTYP + MOOV + box(b"mdat"), WHOLE, ""),
        (FTYP + MOOV + large(b"mdat", bytes(30)), WHOLE, ""),
        (FTYP + large(b"mdat", bytes(30)) + MOOV, WHOLE, ""),
        (FTYP + MOOV + large(b"mdat", b""), WHOLE, ""),
        (FTYP + MOOV + large(b"mdat", bytes(30))[:-1], BROKEN, "it ends within its mdat box, 1 bytes short"),
        (FTYP + MOOV + large(b"mdat", bytes(30))[:12], BROKEN, "it has no mdat box"),
        (FTYP + MOOV + open_ended(b"mdat", bytes(30)), UNPROVED, "its mdat box does not state its length"),
        (FTYP + open_ended(b"mdat", bytes(30)) + MOOV, BROKEN, "it has no moov and no mdat box"),
        (FTYP + MOOV + MDAT + b"\x00" * 5, UNPROVED, "bytes that are not a box follow its last box"),
        (FTYP + MOOV + MDAT + b"\x00" * 50, UNPROVED, "bytes that are not a box follow its last box"),
        (FTYP + MOOV + MDAT + b"\xff" * 50, UNPROVED, "bytes that are not a box follow its last box"),
        (FTYP + MOOV + MDAT + b"\x00\x00\x00\x07junk", UNPROVED, "bytes that are not a box follow its last box"),
        (FTYP + MOOV + box(b"moof") + MDAT, UNPROVED, "it is fragmented, and no fragment is marked as the last"),
        (FTYP + MOOV + box(b"moof") + MDAT + box(b"mfra"), WHOLE, ""),
        (FTYP + MOOV + MDAT + box(b"moof", b"x")[:-1], BROKEN, "it ends within its moof box, 1 bytes short"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("step", [0, 1, 5])
def test_an_mp4_is_judged_by_its_boxes(content: bytes, outcome: Outcome, why: str, step: int) -> None:
    assert judge("video/mp4", content, step) == (outcome, why)


@pytest.mark.parametrize(
    ("content_type", "content", "outcome"),
    [
        ("image/webp", WEBP, WHOLE),
        ("image/webp", WEBP[:-1], BROKEN),
        ("image/webp", b"RIFF\x00\x00\x00\x00WEBPVP8 ", BROKEN),
        ("image/webp", b"RIFF\x00\x00\x00\x00WEBPVP8 " + bytes(4), WHOLE),
        ("image/png", PNG, WHOLE),
        ("image/png", PNG[:-1], BROKEN),
        ("image/png", PNG[:8] + png_chunk(b"IDAT", png_chunk(b"IEND")), BROKEN),
        ("image/jpeg", JPEG, WHOLE),
        ("image/jpeg", JPEG[:-1], BROKEN),
        ("image/jpeg", b"\xff\xd8\xff\xe1\x00\x04\xff\xd9", BROKEN),  # the end of a thumbnail within
        ("image/jpeg", b"\xff\xd8\xff\xe1\x00\x04\xff\xd9\xff\xd9", WHOLE),
        ("image/jpeg", b"\xff\xd8\xff\x01\xff\xd9", WHOLE),
        ("image/jpeg", b"\xff\xd8\xff\xda\x00\x02\xff\x00\xff\xd0\xff\xd7\xff\xff\xd9", WHOLE),
        ("image/jpeg", b"\xff\xd8\xff\xda\x00\x02\xff\x00\xff\xd0\xff\xd7\xff\x00\xd9", BROKEN),
        ("image/jpeg", b"\xff\xd8\xff\xe1\x00", BROKEN),
    ],
)
@pytest.mark.parametrize("step", [0, 1, 2, 3])
def test_a_picture_is_judged_by_its_end(content_type: str, content: bytes, outcome: Outcome, step: int) -> None:
    assert judge(content_type, content, step).outcome is outcome


KINDS = [b"moov", b"mdat", b"moof", b"mfra", b"free", b"skip", b"uuid", b"\x00\x00\x00\x00"]
BOXES = st.lists(st.tuples(st.sampled_from(KINDS), st.binary(max_size=9), st.booleans()), max_size=8)


@settings(deadline=None)
@given(BOXES, st.data())
def test_however_boxes_are_cut_into_chunks_the_verdict_is_the_same(
    boxes: list[tuple[bytes, bytes, bool]], data: st.DataObject
) -> None:
    content = FTYP + b"".join((large if wide else box)(kind, body) for kind, body, wide in boxes)
    content = content[: data.draw(st.integers(0, len(content)))] + data.draw(st.sampled_from([b"", b"\x00", b"junk"]))
    assert judge("video/mp4", content, data.draw(st.integers(1, 30))) == judge("video/mp4", content)


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["video/mp4", *PICTURES]), st.integers(1, 9))
def test_whatever_comes_is_judged_and_chunks_do_not_matter(content: bytes, content_type: str, step: int) -> None:
    assert judge(content_type, content, step) == judge(content_type, content)


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([b"\xff", b"\xd8", b"\xd9", b"\xda", b"\x00", b"\x02", b"a"]), max_size=40).map(b"".join)
)
def test_however_a_jpeg_is_cut_into_chunks_the_verdict_is_the_same(content: bytes) -> None:
    assert len({judge("image/jpeg", content, step) for step in (0, 1, 2, 3, 5)}) == 1


def test_little_is_kept_however_much_comes() -> None:
    container = container_of("video/mp4")
    container.feed(FTYP + MOOV + struct.pack(">I4sQ", 1, b"mdat", 2**40))
    chunk = bytes(MIB)
    for _ in range(64):
        container.feed(chunk)
    assert sum(len(value) for value in vars(container).values() if isinstance(value, bytes)) < 32
    assert container.verdict() == (BROKEN, f"it ends within its mdat box, {2**40 - 16 - 64 * MIB} bytes short")


def test_the_helper_makes_whole_files() -> None:
    assert [len(mp4(size)) for size in (44, 1000)] == [44, 1000]
    assert judge("video/mp4", mp4(1000)).outcome is WHOLE
