from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sora.api.protocol.encoding import encode
from airflow_provider_sora.api.protocol.requests import (
    CreateCharacter,
    CreateVideo,
    DeleteVideo,
    DownloadContent,
    EditVideo,
    ExtendVideo,
    GetCharacter,
    InputFile,
    ListVideos,
    RemixVideo,
    Request,
    RetrieveVideo,
)
from airflow_provider_sora.exceptions import SoraConfigError

PICTURE = InputFile(b"\x89PNG\r\n\x1a\nrest", "cat.png", "image/png")


MP4 = InputFile(b"\x00\x00\x00\x20ftypisom", "clip.mp4", "video/mp4")


@pytest.mark.parametrize(
    ("request_", "line", "query"),
    [
        (CreateVideo(prompt="a"), "POST /videos", {}),
        (ExtendVideo(prompt="a", video={"id": "v"}), "POST /videos/extensions", {}),
        (EditVideo(prompt="a", video={"id": "v"}), "POST /videos/edits", {}),
        (RemixVideo(prompt="a", video_id="a=b"), "POST /videos/a%3Db/remix", {}),
        (CreateCharacter(name="a", video=MP4), "POST /videos/characters", {}),
        (GetCharacter(character_id="c 1"), "GET /videos/characters/c%201", {}),
        (RetrieveVideo(video_id="video_1"), "GET /videos/video_1", {}),
        (RetrieveVideo(video_id="ab+c=?#%ü"), "GET /videos/ab%2Bc%3D%3F%23%25%C3%BC", {}),
        (ListVideos(), "GET /videos", {}),
        (ListVideos(limit=0, order="asc", after="v"), "GET /videos", {"limit": "0", "order": "asc", "after": "v"}),
        (DeleteVideo(video_id="v"), "DELETE /videos/v", {}),
        (DownloadContent(video_id="v"), "GET /videos/v/content", {}),
        (DownloadContent(video_id="v", variant="thumbnail"), "GET /videos/v/content", {"variant": "thumbnail"}),
    ],
)
def test_each_call_has_its_path_and_query(request_: Request[Any], line: str, query: dict[str, str]) -> None:
    assert (str(request_), request_.query()) == (line, query)


def test_what_makes_something_is_never_sent_twice_blindly() -> None:
    kinds = (CreateVideo, ExtendVideo, EditVideo, RemixVideo, CreateCharacter)
    free = (RetrieveVideo, ListVideos, DeleteVideo, DownloadContent, GetCharacter)
    assert all(kind.paid for kind in kinds)
    assert not any(kind.paid for kind in free)


def test_without_a_file_the_body_is_json_and_unknown_fields_go_through_untouched() -> None:
    extra: dict[str, Any] = {"seed": 7, "extra_params": {"a": [1]}}
    request = CreateVideo(prompt="a", model="wan", seconds="5", size="640x480", characters=[{"id": "c"}], **extra)
    assert encode(request) == {
        "json": {
            "prompt": "a",
            "model": "wan",
            "seconds": "5",
            "size": "640x480",
            "characters": [{"id": "c"}],
            "seed": 7,
            "extra_params": {"a": [1]},
        }
    }


def test_what_was_not_given_is_not_sent() -> None:
    assert encode(CreateVideo(prompt="a")) == {"json": {"prompt": "a"}}
    assert encode(RemixVideo(prompt="a", video_id="v")) == {"json": {"prompt": "a"}}
    assert encode(RetrieveVideo(video_id="v")) == {}


def test_with_a_file_the_body_is_a_form_and_nested_values_are_json_text() -> None:
    extra: dict[str, Any] = {"seconds": 4, "seed": 7, "extra_params": {"a": [1]}}
    body = encode(CreateVideo(prompt="a", input_reference=PICTURE, **extra))
    assert dict(body["files"]) == {
        "prompt": (None, "a"),
        "seconds": (None, "4"),
        "input_reference": ("cat.png", PICTURE.content, "image/png"),
        "seed": (None, "7"),
        "extra_params": (None, '{"a": [1]}'),
    }


def test_a_form_can_be_forced_and_is_always_one_for_a_character() -> None:
    body = encode(ExtendVideo(prompt="a", video={"id": "v"}, seconds="4"), "multipart")
    assert dict(body["files"]) == {"prompt": (None, "a"), "video": (None, '{"id": "v"}'), "seconds": (None, "4")}
    assert "files" in encode(CreateCharacter(name="n", video=MP4), "json")


def test_json_can_be_forced_and_holds_a_picture_as_a_data_url() -> None:
    body = encode(CreateVideo(prompt="a", input_reference=PICTURE), "json")
    assert body["json"]["input_reference"] == {"image_url": "data:image/png;base64,iVBORw0KGgpyZXN0"}


def test_a_video_file_does_not_go_into_json() -> None:
    with pytest.raises(SoraConfigError, match="video is a file, which does not fit into JSON: set encoding to auto"):
        encode(EditVideo(prompt="a", video=MP4), "json")


@pytest.mark.parametrize(("given", "sent"), [(4, "4"), (4.0, "4"), (4.5, "4.5"), ("4", "4")])
def test_seconds_are_sent_as_text(given: Any, sent: str) -> None:
    assert CreateVideo(prompt="a", seconds=given).seconds == sent


@pytest.mark.parametrize("fields", [{"prompt": ""}, {}, {"prompt": "a", "size": 5}, {"prompt": "a", "seconds": "soon"}])
def test_a_create_without_its_fields_cannot_be_built(fields: dict[str, Any]) -> None:
    with pytest.raises(SoraConfigError):
        CreateVideo(**fields)


@pytest.mark.parametrize(
    ("body", "gone"),
    [
        (b'{"id": "v", "object": "video.deleted", "deleted": true}', True),
        (b'{"id": "v", "deleted": false}', False),
        (b'{"id": "v", "status": "deleted"}', True),
        (b'{"id": "v", "status": "in_progress"}', False),
        (b'{"id": "v"}', True),
        (b"", True),
    ],
)
def test_delete_says_whether_the_video_is_gone(body: bytes, gone: bool) -> None:
    assert DeleteVideo(video_id="v").parse(body) is gone


def test_the_bytes_of_a_file_stay_out_of_its_repr() -> None:
    assert "rest" not in repr(PICTURE)


def test_a_request_of_no_kind_does_nothing() -> None:
    bare: Request[None] = Request()
    assert bare.fields() == {}
    assert bare.query() == {}
    assert bare.parse_error_body(b"", 400) is None
    with pytest.raises(NotImplementedError):
        bare.path()
    with pytest.raises(NotImplementedError):
        bare.parse(b"")


BAD_IDS = ["", ".", "..", "a/b", "../videos", "a\\b", "a\x00b", "a\n", "\x7f", "\ud800", "x" * 513, "x" * 70_000]


@pytest.mark.parametrize("bad", BAD_IDS)
@pytest.mark.parametrize("kind", [RetrieveVideo, DeleteVideo, DownloadContent, RemixVideo, GetCharacter, ListVideos])
def test_what_is_no_id_is_refused_by_every_call_that_has_one(kind: Any, bad: str) -> None:
    name = {GetCharacter: "character_id", ListVideos: "after"}.get(kind, "video_id")
    prompt = {"prompt": "a"} if kind is RemixVideo else {}
    with pytest.raises(SoraConfigError, match=f"{kind.__name__}: {name} is '.*': an id (is|has)") as caught:
        kind(**{name: bad}, **prompt)
    assert len(str(caught.value)) < 400


@given(st.text(max_size=600))
def test_an_id_stays_one_segment_of_the_path(text: str) -> None:
    try:
        path = DeleteVideo(video_id=text).path()
    except SoraConfigError:
        return
    segment = path.removeprefix("/videos/")
    assert unquote(segment) == text
    assert httpx.URL(f"https://host/v1{path}").raw_path == f"/v1/videos/{segment}".encode()


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x", float("nan"), "\ud800", {("a",): 1}, [[float("inf")]]])
def test_a_field_that_json_does_not_know_is_named(value: Any) -> None:
    fields: dict[str, Any] = {"seed": value}
    with pytest.raises(SoraConfigError, match=r"CreateVideo: seed is .*, which cannot be sent as JSON"):
        CreateVideo(prompt="a", **fields)


def test_values_within_values_without_end_are_named() -> None:
    endless: list[Any] = []
    endless.append(endless)
    fields: dict[str, Any] = {"seed": endless}
    with pytest.raises(SoraConfigError, match="which cannot be sent as JSON"):
        CreateVideo(prompt="a", **fields)


@pytest.mark.parametrize("seconds", ["1" * 5000, pytest.param(10**5000, id="long"), "٣", "1.", "-1", float("inf")])
def test_seconds_that_are_no_number_of_a_server_are_named(seconds: Any) -> None:
    with pytest.raises(SoraConfigError, match="CreateVideo: seconds is "):
        CreateVideo(prompt="a", seconds=seconds)
