from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sora import sources
from airflow_provider_sora.api.protocol.requests import InputFile
from airflow_provider_sora.compat import ObjectStoragePath
from airflow_provider_sora.exceptions import SoraConfigError, SoraConnectionError
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
def test_a_image_may_come_in_any_form(path: Path, form: str, name: str) -> None:
    source: Any = {
        "text": str(path),
        "Path": path,
        "URI": path.as_uri(),
        "ObjectStoragePath": ObjectStoragePath(path.as_uri()),
        "bytes": PNG,
        "URL": "https://host/cat.png?x=1",
        "data URL": DATA_URL,
    }[form]
    assert sources.image(source, fetch=fetch) == InputFile(PNG, name, "image/png")


@pytest.mark.parametrize(
    ("source", "sent"),
    [
        ("file-abc123", {"file_id": "file-abc123"}),
        ({"file_id": "f"}, {"file_id": "f"}),
        ({"image_url": "https://host/x"}, {"image_url": "https://host/x"}),
    ],
)
def test_a_file_id_and_the_apis_own_object_are_sent_as_they_are(source: Any, sent: dict[str, str]) -> None:
    assert sources.image(source, fetch=fetch) == sent


@pytest.mark.parametrize(
    ("source", "sent"), [("https://host/cat.png", "https://host/cat.png"), (DATA_URL, DATA_URL), (PNG, DATA_URL)]
)
def test_the_reference_object_can_be_chosen(source: Any, sent: str) -> None:
    assert sources.image(source, fetch=fetch, reference_as="object") == {"image_url": sent}


def test_the_size_of_the_video_reaches_the_image() -> None:
    with pytest.raises(SoraConfigError, match=r"8x8, the video 16x16"):
        sources.image(PNG, fetch=fetch, size="16x16")
    assert sources.image(PNG, fetch=fetch, size="16x16", fit="cover") != InputFile(
        PNG, "input_reference.png", "image/png"
    )


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("/nowhere/cat.png", "'/nowhere/cat.png' cannot be read: No such file"),
        ("", "input_reference is ''; it has to be a path, a URL, bytes or an id"),
        (7, "input_reference is 7"),
        ({}, "exactly one of file_id and image_url"),
        ({"file_id": "a", "image_url": "b"}, "exactly one of file_id and image_url"),
        ({"id": "a"}, "exactly one of file_id and image_url"),
        ("data:image/png;base64,!!", "data URL that cannot be decoded: data:image/png;base64,…"),
    ],
)
def test_what_is_no_image_is_named(source: Any, words: str) -> None:
    with pytest.raises(SoraConfigError) as caught:
        sources.image(source, fetch=fetch)
    assert words in str(caught.value)


@pytest.mark.parametrize(("field", "value"), [("fit", "stretch"), ("reference_as", "link")])
def test_an_unknown_choice_is_named(field: str, value: Any) -> None:
    with pytest.raises(SoraConfigError, match=f"{field} is '{value}'; it has to be one of"):
        sources.image(PNG, fetch=fetch, **{field: value})


def test_a_plain_data_url_is_decoded() -> None:
    with pytest.raises(SoraConfigError, match=r"of an unknown type"):
        sources.image("data:text/plain,hello%20you", fetch=fetch)


@pytest.mark.parametrize("source", ["video_1", {"id": "video_1", "status": "completed"}])
def test_a_video_may_be_an_id_or_a_manifest(source: Any) -> None:
    assert sources.video(source, fetch=fetch) == {"id": "video_1"}


def test_a_video_may_be_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "clip.mp4"
    file.write_bytes(MP4)
    expected = InputFile(MP4, "clip.mp4", "video/mp4")
    monkeypatch.chdir(tmp_path)
    assert [sources.video(form, fetch=fetch) for form in (str(file), file.as_uri(), file, "clip.mp4")] == [expected] * 4
    assert sources.video("https://host/", fetch=fetch) == InputFile(MP4, "video.mp4", "video/mp4")
    assert sources.video(MP4, fetch=fetch) == InputFile(MP4, "video.mp4", "video/mp4")


@pytest.mark.parametrize("source", [{}, {"id": None}, {"id": ""}])
def test_a_manifest_without_an_id_is_named(source: Any) -> None:
    with pytest.raises(SoraConfigError, match=r"a manifest has an id"):
        sources.video(source, fetch=fetch)


def test_an_id_that_no_path_can_be_is_refused_as_one() -> None:
    with pytest.raises(
        SoraConfigError, match=r"an id has at most 512 characters, this has 5000; and no file has that name"
    ):
        sources.video("x" * 5000, fetch=fetch)


@pytest.mark.parametrize("bad", [".", "..", "a\\b", "clips/a.mp4", "video_1\n", " video_1", {"id": "../x"}])
def test_what_is_neither_an_id_nor_a_file_is_refused(bad: Any) -> None:
    with pytest.raises(SoraConfigError, match=r"an id has no slashes"):
        sources.video_id_of(bad)


CHAINS = [
    *("HTTP://127.0.0.1/x", "Http://127.0.0.1/x", " http://127.0.0.1/x", "http://127.0.0.1/x ", "\thttp://127.0.0.1/x"),
    *("simplecache::http://127.0.0.1/x", "filecache::http://127.0.0.1/x", "blockcache::http://127.0.0.1/x"),
    *("zip://a.png::http://127.0.0.1/x", "tar://a.png::http://127.0.0.1/x", "reference::http://127.0.0.1/x"),
    *("webhdfs://127.0.0.1/x", "ftp://127.0.0.1/x", "sftp://127.0.0.1/x", "smb://127.0.0.1/x", "github://o:r@s/x"),
    *("s3://bucket/a::http://127.0.0.1/x", "s3::http://127.0.0.1/x", "memory://x", "://127.0.0.1/x", "1://127.0.0.1"),
    *("file://mnt/x.png", "ht\ntp://127.0.0.1/x", "\x00http://127.0.0.1", "http\x00://127.0.0.1", "jar://127.0.0.1/x"),
]


@pytest.mark.parametrize("source", CHAINS)
@pytest.mark.parametrize("field", ["input_reference", "video"])
def test_no_url_gets_around_the_guard(source: str, field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    guarded: list[str] = []

    def refuse(url: str) -> bytes:
        guarded.append(url)
        raise SoraConfigError("it is a private address")

    def open_store(*_: Any, **__: Any) -> Any:
        raise AssertionError("nothing but an object store's address reaches fsspec")

    monkeypatch.setattr(ObjectStoragePath, "open", open_store)
    read = sources.image if field == "input_reference" else sources.video
    with pytest.raises(SoraConfigError):
        read(source, fetch=refuse)
    assert guarded in ([], [source])


@given(st.text() | st.from_regex(r"\A[ ]?[A-Za-z0-9+.-]{0,9}(::|:|://)(.*)(://)?.*", fullmatch=True))
def test_what_reaches_fsspec_has_an_installed_scheme_and_no_chain(text: str) -> None:
    try:
        parsed = sources.parse("video", text)
    except SoraConfigError:
        return
    if isinstance(parsed, sources.StoredObject):
        assert parsed.uri.partition("://")[0] in {"s3", "s3a", "s3n", "gs", "gcs"}
        assert "::" not in parsed.uri
    elif isinstance(parsed, sources.WebUrl):
        assert parsed.url.lower().startswith(("http://", "https://"))
    else:
        assert "://" not in text or text.lower().startswith(("data:", "file:///", "local:///"))


@pytest.mark.parametrize(
    "source", ["DATA:image/png;base64," + DATA_URL.partition(",")[2], bytearray(PNG), memoryview(PNG)]
)
def test_schemes_have_no_case_and_bytes_many_types(source: Any) -> None:
    assert sources.image(source, fetch=fetch) == InputFile(PNG, "input_reference.png", "image/png")


def test_a_two_slash_file_uri_is_told_of_the_third() -> None:
    with pytest.raises(SoraConfigError, match=r"a file's URI has three slashes: file:///mnt/x"):
        sources.parse("video", "file://mnt/x")


def test_an_object_storage_path_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ObjectStoragePath, "__str__", lambda _: "simplecache::http://127.0.0.1/x")
    with pytest.raises(SoraConfigError, match=r"an object store"):
        sources.parse("video", ObjectStoragePath("file:///x"))


class Stored:
    """What `ObjectStoragePath.open` gives for an object."""

    def __init__(self, outcome: Any) -> None:
        self.outcome = outcome
        self.asked: list[int] = []

    def __call__(self, *_: Any) -> Stored:
        return self

    def __enter__(self) -> Stored:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self

    def __exit__(self, *_: object) -> None: ...

    def read(self, most: int) -> bytes:
        self.asked.append(most)
        return bytes(self.outcome[:most])


@pytest.mark.parametrize("as_path", [True, False])
def test_an_object_is_read_in_bounds(monkeypatch: pytest.MonkeyPatch, as_path: bool) -> None:
    uri = "S3://bucket/a/cat.png"
    stored = Stored(PNG)
    monkeypatch.setattr(ObjectStoragePath, "open", stored)
    source = ObjectStoragePath("s3://bucket/a/cat.png") if as_path else uri
    assert sources.image(source, fetch=fetch, storage_conn_id="aws") == InputFile(PNG, "cat.png", "image/png")
    assert stored.asked == [sources.MAX_IMAGE_BYTES + 1]


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (FileNotFoundError(2, "No such file"), SoraConfigError, "cannot be read: No such file"),
        (PermissionError("denied"), SoraConfigError, "cannot be read: denied"),
        (ValueError("odd"), SoraConfigError, "cannot be read: odd"),
        (RuntimeError("throttled"), SoraConnectionError, "cannot be read: RuntimeError: throttled"),
    ],
)
def test_a_store_that_fails_is_an_error_of_ours(
    monkeypatch: pytest.MonkeyPatch, error: Exception, kind: Any, words: str
) -> None:
    monkeypatch.setattr(ObjectStoragePath, "open", Stored(error))
    with pytest.raises(kind, match=words):
        sources.image("s3://bucket/cat.png", fetch=fetch)


def test_what_is_larger_than_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setattr(sources, "MAX_IMAGE_BYTES", len(PNG) - 1)
    for source in (PNG, path, str(path), "https://host/cat.png?x=1", DATA_URL):
        with pytest.raises(SoraConfigError, match=f"more than {len(PNG) - 1} bytes, the limit"):
            sources.image(source, fetch=fetch)
    with pytest.raises(SoraConfigError, match=r"a data URL of .* characters, more than the limit allows"):
        sources.image("data:," + "x" * 1000, fetch=fetch)


def test_local_files_are_read_from_where_that_is_allowed(path: Path) -> None:
    def allowed() -> list[str]:
        return [str(path.parent / "pictures")]

    for source in (path, str(path), path.as_uri(), ObjectStoragePath(path.as_uri())):
        with pytest.raises(SoraConfigError, match=r"is not read: .* is not below .*/pictures"):
            sources.image(source, fetch=fetch, allowed_paths=allowed)
    allowed_path = path.parent / "pictures" / "cat.png"
    allowed_path.parent.mkdir()
    path.rename(allowed_path)
    assert sources.image(str(allowed_path), fetch=fetch, allowed_paths=allowed)
