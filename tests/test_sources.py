from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_sora import sources
from airflow_provider_sora.api.requests import Upload
from airflow_provider_sora.compat import ObjectStoragePath
from airflow_provider_sora.exceptions import SoraConfigError
from tests.pictures import png

PNG = png((8, 8))
MP4 = b"\x00\x00\x00\x20ftypisom"
DATA_URL = "data:image/png;base64," + base64.b64encode(PNG).decode()


def fetch(url: str) -> bytes:
    return {"https://host/cat.png?x=1": PNG, "https://host/": MP4}[url]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "cat.png"
    file.write_bytes(PNG)
    return file


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("text", "cat.png"),
        ("Path", "cat.png"),
        ("URI", "cat.png"),
        ("ObjectStoragePath", "cat.png"),
        ("bytes", "input_reference.png"),
        ("URL", "cat.png"),
        ("data URL", "input_reference.png"),
    ],
)
def test_a_picture_may_come_in_any_form(path: Path, form: str, name: str) -> None:
    source: Any = {
        "text": str(path),
        "Path": path,
        "URI": path.as_uri(),
        "ObjectStoragePath": ObjectStoragePath(path.as_uri()),
        "bytes": PNG,
        "URL": "https://host/cat.png?x=1",
        "data URL": DATA_URL,
    }[form]
    assert sources.picture(source, fetch=fetch) == Upload(PNG, name, "image/png")


@pytest.mark.parametrize(
    ("source", "sent"),
    [
        ("file-abc123", {"file_id": "file-abc123"}),
        ({"file_id": "f"}, {"file_id": "f"}),
        ({"image_url": "https://host/x"}, {"image_url": "https://host/x"}),
    ],
)
def test_a_file_id_and_the_apis_own_object_are_sent_as_they_are(source: Any, sent: dict[str, str]) -> None:
    assert sources.picture(source, fetch=fetch) == sent


@pytest.mark.parametrize(
    ("source", "sent"), [("https://host/cat.png", "https://host/cat.png"), (DATA_URL, DATA_URL), (PNG, DATA_URL)]
)
def test_the_reference_object_can_be_chosen(source: Any, sent: str) -> None:
    assert sources.picture(source, fetch=fetch, reference_as="object") == {"image_url": sent}


def test_the_size_of_the_video_reaches_the_picture() -> None:
    with pytest.raises(SoraConfigError, match="8x8, the video 16x16"):
        sources.picture(PNG, fetch=fetch, size="16x16")
    assert sources.picture(PNG, fetch=fetch, size="16x16", fit="cover") != Upload(
        PNG, "input_reference.png", "image/png"
    )


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("/nowhere/cat.png", "'/nowhere/cat.png' cannot be read: No such file"),
        ("", "input_reference is ''; it has to be a path, a URL, bytes or an id"),
        (7, "input_reference is '7'"),
        ({}, "exactly one of file_id and image_url"),
        ({"file_id": "a", "image_url": "b"}, "exactly one of file_id and image_url"),
        ({"id": "a"}, "exactly one of file_id and image_url"),
        ("data:image/png;base64,!!", "data URL that cannot be decoded: data:image/png;base64,…"),
    ],
)
def test_what_is_no_picture_is_named(source: Any, words: str) -> None:
    with pytest.raises(SoraConfigError) as caught:
        sources.picture(source, fetch=fetch)
    assert words in str(caught.value)


@pytest.mark.parametrize(("field", "value"), [("fit", "stretch"), ("reference_as", "link")])
def test_an_unknown_choice_is_named(field: str, value: Any) -> None:
    with pytest.raises(SoraConfigError, match=f"{field} is '{value}'; it has to be one of"):
        sources.picture(PNG, fetch=fetch, **{field: value})


def test_a_plain_data_url_is_decoded() -> None:
    with pytest.raises(SoraConfigError, match="of an unknown type"):
        sources.picture("data:text/plain,hello%20you", fetch=fetch)


@pytest.mark.parametrize("source", ["video_1", {"id": "video_1", "status": "completed"}])
def test_a_video_may_be_an_id_or_a_manifest(source: Any) -> None:
    assert sources.video(source, fetch=fetch) == {"id": "video_1"}


def test_a_video_may_be_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "clip.mp4"
    file.write_bytes(MP4)
    expected = Upload(MP4, "clip.mp4", "video/mp4")
    monkeypatch.chdir(tmp_path)
    assert [sources.video(form, fetch=fetch) for form in (str(file), file.as_uri(), file, "clip.mp4")] == [expected] * 4
    assert sources.video("https://host/", fetch=fetch) == Upload(MP4, "video.mp4", "video/mp4")
    assert sources.video(MP4, fetch=fetch) == Upload(MP4, "video.mp4", "video/mp4")


@pytest.mark.parametrize("source", [{}, {"id": None}, {"id": ""}])
def test_a_manifest_without_an_id_is_named(source: Any) -> None:
    with pytest.raises(SoraConfigError, match="a manifest has an id"):
        sources.video(source, fetch=fetch)


def test_an_id_that_no_path_can_be_is_an_id() -> None:
    assert sources.video("x" * 5000, fetch=fetch) == {"id": "x" * 5000}
