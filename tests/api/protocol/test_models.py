from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_sora.api.protocol.models import (
    Video,
    VideoPage,
    VideoStatus,
    find_failed_video,
    parse_json,
    read_model,
    read_status,
    shorten,
)
from airflow_provider_sora.exceptions import SoraResponseError
from tests.api.conftest import job


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("queued", "queued"),
        ("pending", "queued"),
        ("in_progress", "in_progress"),
        ("processing", "in_progress"),
        ("generating", "in_progress"),
        ("encoding", "in_progress"),
        ("something new", "in_progress"),
        (None, "in_progress"),
        ("completed", "completed"),
        ("succeeded", "completed"),
        ("SUCCESS", "completed"),
        ("failed", "failed"),
        ("cancelled", "cancelled"),
        ("canceled", "cancelled"),
        ("expired", "expired"),
        ("deleted", "deleted"),
    ],
)
def test_every_servers_word_for_a_status_is_understood(word: str | None, meaning: str) -> None:
    assert read_status(word).value == meaning


def test_only_queued_and_in_progress_are_running() -> None:
    assert [status.value for status in VideoStatus if status.is_running] == ["queued", "in_progress"]


@pytest.mark.parametrize(
    ("field", "value", "meaning"),
    [
        ("progress", 42, 42.0),
        ("progress", 0.5, 0.5),
        ("progress", "100%", 100.0),
        ("progress", None, None),
        ("progress", "soon", None),
        ("seconds", 4, "4"),
        ("seconds", "8", "8"),
        ("seconds", "", None),
        ("seconds", None, None),
        ("size", "", None),
        ("created_at", float("inf"), None),
        ("created_at", 1700000000, 1700000000),
        ("created_at", 1700000000.9, 1700000000),
        ("created_at", "1700000000", 1700000000),
        ("created_at", "2023-11-14T22:13:20+00:00", 1700000000),
        ("created_at", "2023-11-14T22:13:20", None),
        ("created_at", "2023-11-99", None),
        ("created_at", "", None),
        ("expires_at", None, None),
        ("model", None, None),
        ("prompt", "a cat", "a cat"),
        ("error", "", None),
    ],
)
def test_a_field_is_read_in_any_type_servers_use(field: str, value: Any, meaning: Any) -> None:
    video = Video.model_validate(job(**{field: value}))
    assert getattr(video, field) == meaning


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        ({"code": "moderation_blocked", "message": "no"}, "moderation_blocked", "no"),
        ({"code": 500, "message": "no"}, "500", "no"),
        ({"type": "server_error", "message": ""}, "server_error", ""),
        ({"message": "out of memory"}, "unknown", "out of memory"),
        ("out of memory", "unknown", "out of memory"),
    ],
)
def test_an_error_is_read_in_any_shape(error: Any, code: str, message: str) -> None:
    video = Video.model_validate(job("failed", error=error))
    assert video.error is not None
    assert (video.error.code, video.error.message) == (code, message)


def test_the_servers_own_word_and_its_own_fields_are_kept() -> None:
    video = Video.model_validate(job("encoding", url="https://elsewhere/x.mp4"))
    assert video.raw_status == "encoding"
    assert (video.model_extra or {})["url"] == "https://elsewhere/x.mp4"


def test_an_answer_without_an_id_is_no_video_and_the_error_shows_it() -> None:
    with pytest.raises(
        SoraResponseError, match=r"the response to POST /videos is not a Video \(id: .*\{\"status\""
    ) as caught:
        read_model(Video, "POST /videos", b'{"status": "queued"}')
    assert caught.value.retryable


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null"])
def test_an_answer_that_is_no_object_is_no_video(body: bytes) -> None:
    with pytest.raises(SoraResponseError, match="not a Video"):
        read_model(Video, "GET /videos/1", body)


def test_a_page_says_where_the_next_one_starts() -> None:
    page = read_model(
        VideoPage, "GET /videos", json.dumps({"data": [job()], "last_id": "video_1", "has_more": None}).encode()
    )
    assert ([video.id for video in page.data], page.last_id, page.has_more) == (["video_1"], "video_1", False)


def test_a_list_that_is_an_array_is_no_page() -> None:
    with pytest.raises(SoraResponseError, match="not a VideoPage"):
        read_model(VideoPage, "GET /videos", b"[]")


FAILED = job("failed", error={"code": "oom", "message": "out of memory"})


@pytest.mark.parametrize(
    "body",
    [
        FAILED,
        {"error": {"message": json.dumps(FAILED), "code": "500"}},
        {"error": {"message": f"Hosted_vllmException - {json.dumps(FAILED)} after 1 try"}},
        {"error": json.dumps(FAILED)},
    ],
    ids=["vLLM-Omni", "LiteLLM", "LiteLLM with words around it", "as plain text"],
)
def test_a_failed_job_in_the_body_of_an_error_is_found(body: Any) -> None:
    video = find_failed_video(json.dumps(body).encode())
    assert video is not None
    assert (video.id, video.status, video.error and video.error.code) == ("video_1", VideoStatus.FAILED, "oom")


@pytest.mark.parametrize(
    "body",
    [
        b"Internal Server Error",
        b"[]",
        b'{"error": {"message": "boom"}}',
        b'{"error": {"message": "boom {not json"}}',
        b'{"error": {"message": "boom [1] {}"}}',
        json.dumps(job("in_progress")).encode(),
        json.dumps(job("completed")).encode(),
        b'{"id": "", "status": "failed"}',
    ],
)
def test_an_error_without_a_failed_job_in_it_stays_an_error(body: bytes) -> None:
    assert find_failed_video(body) is None


def test_parse_json_answers_none_for_what_is_not_json() -> None:
    assert parse_json(b"<html>") is None


def test_a_long_body_is_shortened_to_one_line() -> None:
    assert shorten(b"a\n b" + b"x" * 5000) == "a b" + "x" * 297 + "…"
