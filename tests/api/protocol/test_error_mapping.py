from __future__ import annotations

import base64
import json
import re
from typing import Any

import httpx
import pytest

from airflow_provider_sora import exceptions
from airflow_provider_sora.api.protocol.error_mapping import (
    connection_error,
    failed_video_error,
    read_error,
    retry_after_seconds,
    status_error,
)
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.api.protocol.requests import (
    CreateVideo,
    DeleteVideo,
    EditVideo,
    ListVideos,
    RemixVideo,
    Request,
    RetrieveVideo,
)
from airflow_provider_sora.api.protocol.response import Response
from tests.api.conftest import job

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"error": {"message": "no", "type": "t", "code": "c"}}, "c", "no"),
        ({"error": {"message": "no", "type": "t", "code": None}}, "t", "no"),
        ({"error": {"message": "no", "code": 42}}, "42", "no"),
        ({"error": {"odd": 1}}, None, "{'odd': 1}"),
        ({"error": "no"}, None, "no"),
        ({"detail": "no"}, None, "no"),
        (
            {"detail": [{"loc": ["body", "size"], "msg": "bad"}, {"msg": "worse"}, "worst"]},
            None,
            "body.size: bad; worse; worst",
        ),
        ({"title": "Not allowed", "status": 403}, None, "Not allowed"),
        ({"message": "no"}, None, "no"),
        ({"odd": 1}, None, '{"odd": 1}'),
    ],
)
def test_the_servers_words_are_found_in_every_shape(body: Any, code: str | None, message: str) -> None:
    assert read_error(json.dumps(body).encode()) == (code, message)


@pytest.mark.parametrize(("loc", "where"), [(None, ""), ("body", "body: "), (["body", 0], "body.0: ")])
def test_where_a_field_error_is_may_be_anything(loc: Any, where: str) -> None:
    assert read_error(json.dumps({"detail": [{"loc": loc, "msg": "bad"}]}).encode()) == (None, f"{where}bad")


@pytest.mark.parametrize(("body", "message"), [(b"Bad Gateway", "Bad Gateway"), (b"", "")])
def test_a_body_that_is_not_json_is_quoted(body: bytes, message: str) -> None:
    assert read_error(body) == (None, message)


@pytest.mark.parametrize(
    ("status", "name", "retryable"),
    [
        (307, "SoraBadRequestError", False),
        (400, "SoraBadRequestError", False),
        (401, "SoraAuthError", False),
        (403, "SoraAuthError", False),
        (404, "SoraNotFoundError", False),
        (405, "SoraUnsupportedError", False),
        (408, "SoraServerError", True),
        (409, "SoraConflictError", True),
        (410, "SoraNotFoundError", False),
        (422, "SoraBadRequestError", False),
        (425, "SoraServerError", True),
        (429, "SoraRateLimitError", True),
        (500, "SoraServerError", True),
        (501, "SoraUnsupportedError", False),
        (503, "SoraServerError", True),
    ],
)
def test_each_status_has_a_class_that_says_whether_a_retry_can_help(status: int, name: str, retryable: bool) -> None:
    error = status_error(RetrieveVideo(video_id="v"), Response(NOW, status, {}, b'{"error": "no"}'))
    assert (type(error).__name__, error.retryable) == (name, retryable)
    assert str(error).startswith(f"GET /videos/v answered HTTP {status}: {'a redirect' if status < 400 else 'no'}")


def test_a_redirect_says_where_to_without_what_may_be_signed() -> None:
    response = Response(NOW, 302, {"location": "https://other/v1/videos?signature=secret"})
    error = status_error(CreateVideo(prompt="a"), response)
    assert str(error) == (
        "POST /videos answered HTTP 302: a redirect to 'https://other/v1/videos', which is not followed: correct the "
        "connection's Host if it is wrong"
    )
    assert isinstance(error, exceptions.SoraServerError)  # perhaps it was accepted


def test_the_message_holds_code_and_wait() -> None:
    body = b'{"error": {"code": "rate_limit", "message": "slow down"}}'
    error = status_error(CreateVideo(prompt="a"), Response(NOW, 429, {"retry-after": "7"}, body))
    assert str(error) == "POST /videos answered HTTP 429 [rate_limit]: slow down (asked to wait 7 s)"
    assert (error.code, error.retry_after_seconds, error.status_code) == ("rate_limit", 7, 429)


def test_a_silent_server_is_quoted_as_such() -> None:
    assert "no explanation" in str(status_error(ListVideos(), Response(NOW, 500)))


@pytest.mark.parametrize("body", [b'{"detail": "Not Found"}', b"404 page not found", b"<html>", b""])
@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (EditVideo(prompt="a", video={"id": "v"}), "POST /videos/edits .*submit a new create"),
        (RemixVideo(prompt="a", video_id="v"), "POST /videos/v/remix .*submit a new create"),
        (ListVideos(), "GET /videos .*request videos by their id"),
    ],
)
def test_a_missing_route_is_told_from_a_missing_video_and_names_server_and_way_out(
    request_: Request[Any], words: str, body: bytes
) -> None:
    error = status_error(request_, Response(NOW, 404, {}, body, "https://host/v1/videos/edits"))
    assert isinstance(error, exceptions.SoraUnsupportedError)
    assert re.match(
        words.replace(" .*", r" answered HTTP 404.* https://host/v1 does not offer this call: "), str(error)
    )


@pytest.mark.parametrize(
    ("request_", "body"),
    [
        (RemixVideo(prompt="a", video_id="v"), b'{"error": {"message": "Video v not found"}}'),
        (DeleteVideo(video_id="v"), b'{"detail": "Not Found"}'),
        (RetrieveVideo(video_id="v"), b'{"detail": "Not Found"}'),
    ],
)
def test_a_missing_video_is_not_a_missing_route(request_: Request[Any], body: bytes) -> None:
    assert type(status_error(request_, Response(NOW, 404, {}, body))) is exceptions.SoraNotFoundError


@pytest.mark.parametrize(
    "said",
    [
        'litellm.NotFoundError: NotFoundError: Hosted_vllmException - {"detail":"Not Found"}',
        'litellm.NotFoundError: OpenAIException - {"error": {"message": "Not Found"}}. Received Model Group=wan',
        "litellm.NotFoundError: NotFoundError: Hosted_vllmException - Not Found",
    ],
)
def test_a_call_that_the_upstream_lacks_is_unsupported_through_litellm_too(said: str) -> None:
    body = json.dumps({"error": {"message": said, "type": None, "param": None, "code": "404"}}).encode()
    error = status_error(RemixVideo(prompt="a", video_id="v"), Response(NOW, 404, {}, body, "https://host/v1/videos/v"))
    assert isinstance(error, exceptions.SoraUnsupportedError)
    assert "does not offer this call" in str(error)


@pytest.mark.parametrize(
    "said", ['litellm.NotFoundError: x - {"detail": "Video v not found"}', "litellm.NotFoundError: {broken", "gone"]
)
def test_a_video_that_the_upstream_lacks_is_not_found_through_litellm_too(said: str) -> None:
    body = json.dumps({"error": {"message": said}}).encode()
    error = status_error(RemixVideo(prompt="a", video_id="v"), Response(NOW, 404, {}, body))
    assert type(error) is exceptions.SoraNotFoundError


def test_litellm_without_a_database_refuses_a_key_with_status_400() -> None:
    body = b'{"error": {"message": "No connected db.", "type": "no_db_connection", "param": null, "code": "400"}}'
    error = status_error(CreateVideo(prompt="a"), Response(NOW, 400, {}, body))
    assert isinstance(error, exceptions.SoraAuthError)
    assert not error.retryable


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:30 GMT"}, 10.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:00 GMT"}, 0.0),
        ({"retry-after": "later"}, None),
        ({"retry-after-ms": "250", "retry-after": "3"}, 0.25),
    ],
)
def test_retry_after_is_read_as_seconds_milliseconds_or_date(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_seconds(headers, NOW) == seconds


@pytest.mark.parametrize(
    "error",
    [httpx.ConnectError("refused"), httpx.ConnectTimeout(""), httpx.PoolTimeout(""), httpx.LocalProtocolError("")],
)
def test_a_paid_call_that_was_never_sent_is_not_ambiguous(error: httpx.RequestError) -> None:
    assert type(connection_error("POST /videos", error, paid=True)) is exceptions.SoraConnectionError


@pytest.mark.parametrize(
    "error", [httpx.ReadTimeout(""), httpx.ReadError(""), httpx.WriteError(""), httpx.RemoteProtocolError("")]
)
def test_a_paid_call_that_may_have_been_sent_is_ambiguous(error: httpx.RequestError) -> None:
    found = connection_error("POST /videos", error, paid=True)
    assert isinstance(found, exceptions.SoraAmbiguousError)
    assert str(found) == f"POST /videos got no response: {type(error).__name__}; the server may have accepted it"


def test_a_free_call_is_never_ambiguous() -> None:
    assert type(connection_error("GET /videos", httpx.ReadTimeout(""), paid=False)) is exceptions.SoraConnectionError


@pytest.mark.parametrize("code", ["moderation_blocked", "sentinel_block", "invalid_value", "content_policy_violation"])
def test_a_refusal_is_not_retryable_and_quotes_the_server(code: str) -> None:
    error = failed_video_error(Video.model_validate(job("failed", error={"code": code, "message": "no"})))
    assert isinstance(error, exceptions.SoraVideoRejectedError)
    assert not error.retryable
    assert str(error) == f"video video_1 failed on the server [{code}]: no"


@pytest.mark.parametrize(("code", "refused"), [(400, True), (422, True), (408, False), (429, False), (500, False)])
def test_a_job_that_failed_with_an_http_status_is_refused_by_what_that_means(code: int, refused: bool) -> None:
    error = failed_video_error(Video.model_validate(job("failed", error={"code": code, "message": "no"})))
    assert isinstance(error, exceptions.SoraVideoRejectedError) is refused
    assert error.retryable is not refused


def test_a_failure_of_the_server_is_retryable() -> None:
    error = failed_video_error(Video.model_validate(job("failed", error={"code": "server_error", "message": ""})))
    assert type(error) is exceptions.SoraVideoFailedError
    assert error.retryable


def test_a_cancelled_job_without_an_error_is_named_by_its_status() -> None:
    error = failed_video_error(Video.model_validate(job("canceled")))
    assert str(error) == "video video_1 cancelled on the server [cancelled]: no explanation"


@pytest.mark.parametrize(
    "error",
    [
        {"code": 400, "message": "blocked by the guardrail"},
        {"code": "422", "message": "size"},
        {"code": "litellm.BadRequestError", "message": "HostedVllmException"},
        {"code": "ContentPolicyViolationError", "message": ""},
        {"message": 'Error code: 400 - {"detail": "prompt"}'},
        {"message": '{"error": {"code": 400, "message": "guardrail"}}'},
        {"message": "upstream answered HTTP 413"},
    ],
)
def test_a_job_that_failed_with_a_4xx_of_the_server_is_a_refusal_and_not_retried(error: dict[str, Any]) -> None:
    found = failed_video_error(Video.model_validate(job("failed", error=error)))
    assert isinstance(found, exceptions.SoraVideoRejectedError)
    assert not found.retryable


@pytest.mark.parametrize(
    "error",
    [
        {"code": 500, "message": "out of memory"},
        {"code": 429, "message": "quota"},
        {"code": "409", "message": "busy"},
        {"code": "oom", "message": "Error code: 503"},
        {"message": "needed 4000 MB, status 42"},
        {"message": '{"error": {"code": 500}}'},
        {"message": "{"},
    ],
)
def test_a_job_that_failed_in_any_other_way_is_retried(error: dict[str, Any]) -> None:
    found = failed_video_error(Video.model_validate(job("failed", error=error)))
    assert type(found) is exceptions.SoraVideoFailedError


@pytest.mark.parametrize(("status", "retryable"), [(400, False), (422, False), (500, True), (502, True), (429, True)])
@pytest.mark.parametrize("error", [{"message": "no"}, {"code": "oom", "message": "no"}, None, ""])
def test_the_status_of_the_answer_that_holds_a_failed_job_says_whether_it_was_refused(
    status: int, retryable: bool, error: Any
) -> None:
    body = json.dumps(job("failed", error=error)).encode()
    for request in (RetrieveVideo(video_id="video_1"), CreateVideo(prompt="a")):
        video = request.parse_error_body(body, status)
        assert video is not None
        assert failed_video_error(video).retryable is retryable


def test_a_failed_job_in_an_error_answer_counts_only_where_it_is_the_one_that_was_asked_for() -> None:
    inner = job("failed", "upstream-1", error={"code": 400, "message": "guardrail"})
    text = f"litellm.BadRequestError: HostedVllmException - {json.dumps(inner)}"
    wrapped = json.dumps({"error": {"message": text, "code": "400"}}).encode()
    mine = "video_" + base64.b64encode(b"litellm:custom_llm_provider:x;model_id:m;video_id:upstream-1").decode()
    found = RetrieveVideo(video_id=mine).parse_error_body(wrapped, 400)
    assert found is not None
    assert found.id == mine
    assert RetrieveVideo(video_id="upstream-2").parse_error_body(wrapped, 502) is None


def test_an_answer_nested_without_end_is_one_that_cannot_be_read() -> None:
    with pytest.raises(exceptions.SoraResponseError):
        RetrieveVideo(video_id="video_1").parse(b"[" * 200_000)
