from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from airflow_provider_sora.api.encoding import encode
from airflow_provider_sora.api.requests import (
    CreateVideo,
    DeleteVideo,
    DownloadContent,
    ListVideos,
    Request,
    RetrieveVideo,
    Upload,
)

PICTURE = Upload(b"\x89PNG\r\n\x1a\nrest", "cat.png", "image/png")


@pytest.mark.parametrize(
    ("request_", "line", "query"),
    [
        (CreateVideo(prompt="a"), "POST /videos", {}),
        (RetrieveVideo(video_id="video_1"), "GET /videos/video_1", {}),
        (RetrieveVideo(video_id="ab/c=?"), "GET /videos/ab%2Fc%3D%3F", {}),
        (ListVideos(), "GET /videos", {}),
        (ListVideos(limit=0, order="asc", after="v"), "GET /videos", {"limit": "0", "order": "asc", "after": "v"}),
        (DeleteVideo(video_id="v"), "DELETE /videos/v", {}),
        (DownloadContent(video_id="v"), "GET /videos/v/content", {}),
        (DownloadContent(video_id="v", variant="thumbnail"), "GET /videos/v/content", {"variant": "thumbnail"}),
    ],
)
def test_each_call_has_its_path_and_query(request_: Request[Any], line: str, query: dict[str, str]) -> None:
    call = encode(request_)
    assert (str(call), str(request_), call.query) == (line, line, query)


def test_only_create_is_paid() -> None:
    paid = {
        kind.__name__ for kind in (CreateVideo, RetrieveVideo, ListVideos, DeleteVideo, DownloadContent) if kind.paid
    }
    assert paid == {"CreateVideo"}


def test_without_a_file_the_body_is_json_and_unknown_fields_go_through_untouched() -> None:
    request = CreateVideo(prompt="a", model="wan", seconds="5", size="640x480", seed=7, extra_params={"a": [1]})
    call = encode(request)
    assert call.json == {
        "prompt": "a",
        "model": "wan",
        "seconds": "5",
        "size": "640x480",
        "seed": 7,
        "extra_params": {"a": [1]},
    }
    assert call.form is None


def test_what_was_not_given_is_not_sent() -> None:
    assert encode(CreateVideo(prompt="a")).json == {"prompt": "a"}


def test_with_a_file_the_body_is_a_form_and_nested_values_are_json_text() -> None:
    call = encode(CreateVideo(prompt="a", seconds=4, input_reference=PICTURE, seed=7, extra_params={"a": [1]}))
    assert call.json is None
    assert dict(call.form or []) == {
        "prompt": (None, "a"),
        "seconds": (None, "4"),
        "input_reference": ("cat.png", PICTURE.content, "image/png"),
        "seed": (None, "7"),
        "extra_params": (None, '{"a": [1]}'),
    }


@pytest.mark.parametrize(("given", "sent"), [(4, "4"), (4.0, "4"), (4.5, "4.5"), ("4", "4")])
def test_seconds_are_sent_as_text(given: Any, sent: str) -> None:
    assert CreateVideo(prompt="a", seconds=given).seconds == sent


@pytest.mark.parametrize("fields", [{"prompt": ""}, {}, {"prompt": "a", "size": 5}])
def test_a_create_without_its_fields_cannot_be_built(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
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
    assert DeleteVideo(video_id="v").read(body) is gone


def test_the_bytes_of_a_file_stay_out_of_its_repr() -> None:
    assert "rest" not in repr(PICTURE)


def test_a_request_of_no_kind_does_nothing() -> None:
    bare: Request[None] = Request()
    assert bare.fields() == {}
    assert bare.query() == {}
    assert bare.read_refusal(b"") is None
    with pytest.raises(NotImplementedError):
        bare.path()
    with pytest.raises(NotImplementedError):
        bare.read(b"")
