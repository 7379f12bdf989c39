from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from airflow_provider_sora import exceptions
from airflow_provider_sora.api.client import AsyncSoraClient, SoraClient
from airflow_provider_sora.api.decisions.polling import Wait
from airflow_provider_sora.api.http.config import SoraConfig
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.api.protocol.requests import (
    CreateVideo,
    DeleteVideo,
    DownloadContent,
    InputFile,
    ListVideos,
    RetrieveVideo,
)
from tests.api.conftest import CONFIG, Client, Server, answer, job, litellm_id
from tests.media import mp4

CREATE = CreateVideo(prompt="a cat")
RETRIEVE = RetrieveVideo(video_id="video_1")


def test_a_call_goes_to_the_base_url_with_key_headers_and_query(server: Server) -> None:
    config = SoraConfig("http://h/x", "key-1234", headers={"X-A": "b"}, query={"api-version": "1"}, timeout_seconds=9)
    server.will(answer(job()))
    Client(server, blocking=True, config=config).send(CREATE)
    [request] = server.requests
    assert str(request.url) == "http://h/x/v1/videos?api-version=1"
    assert request.headers["authorization"] == "Bearer key-1234"
    assert request.headers["x-a"] == "b"
    assert request.headers["user-agent"].startswith("airflow-provider-sora/")
    assert request.headers["content-type"] == "application/json"
    assert request.extensions["timeout"] == {"connect": 10.0, "read": 9, "write": 9, "pool": 9}


def test_a_picture_is_uploaded_as_a_form(client: Client, server: Server) -> None:
    server.will(answer(job()))
    client.send(CreateVideo(prompt="a", input_reference=InputFile(b"\xff\xd8\xffdata", "cat.jpg", "image/jpeg")))
    body = server.requests[0].content
    assert server.requests[0].headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b'name="input_reference"; filename="cat.jpg"\r\nContent-Type: image/jpeg\r\n\r\n\xff\xd8\xffdata\r\n' in body
    assert b'name="prompt"\r\n\r\na\r\n' in body


@pytest.mark.parametrize("status", [200, 201, 202])
def test_any_success_is_an_answer(client: Client, server: Server, status: int) -> None:
    server.will(answer(job("completed"), status))
    assert client.send(CREATE).status.value == "completed"


def test_a_free_call_is_repeated_until_it_works(client: Client, server: Server) -> None:
    server.will(httpx.ReadTimeout("slow"), answer({"error": "boom"}, 500), answer(job("completed")))
    assert client.send(RETRIEVE).status.value == "completed"
    assert server.slept == [1.0, 2.0]


def test_a_call_that_never_works_raises_what_became_of_it_last(client: Client, server: Server) -> None:
    server.will(*[answer({"error": "boom"}, 500)] * 3)
    with pytest.raises(exceptions.SoraServerError, match="GET /videos/video_1 answered HTTP 500: boom"):
        client.send(RETRIEVE)
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("gone"),
        answer(None, 500),
        answer(None, 503, retry_after="4"),
        answer(None, 302),
    ],
)
def test_a_create_that_may_have_been_accepted_is_sent_once(client: Client, server: Server, failure: Any) -> None:
    server.will(failure)
    with pytest.raises((exceptions.SoraAmbiguousError, exceptions.SoraServerError)):
        client.send(CREATE)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "failure",
    [httpx.ConnectError("refused"), answer(None, 429), answer({"detail": "limit of 1 concurrent tasks"}, 503)],
)
def test_a_create_that_was_not_accepted_is_sent_again(client: Client, server: Server, failure: Any) -> None:
    server.will(failure, answer(job()))
    assert client.send(CREATE).id == "video_1"


def test_a_failed_job_in_an_error_is_an_answer(client: Client, server: Server) -> None:
    server.will(answer(job("failed", error={"code": "oom", "message": "no"}), 500))
    assert client.send(RETRIEVE).status.value == "failed"


@pytest.mark.parametrize("status", [200, 500])
def test_a_video_keeps_the_id_it_was_asked_for_by(client: Client, server: Server, status: int) -> None:
    as_answered, as_asked = (litellm_id("job-1", model) for model in ("", "alias"))
    server.will(answer(job("failed", as_answered), status))
    assert client.send(RetrieveVideo(video_id=as_asked)).id == as_asked


def test_another_failed_video_in_an_error_is_not_the_one_that_was_asked_for(client: Client, server: Server) -> None:
    server.will(*[answer(job("failed", "another_id"), 502)] * 3)
    with pytest.raises(exceptions.SoraServerError):
        client.send(RETRIEVE)


def test_a_gateway_may_answer_with_an_id_of_its_own(client: Client, server: Server) -> None:
    server.will(answer(job("completed", "another_id")))
    assert client.send(RETRIEVE).id == "video_1"


def test_a_secret_that_the_server_repeats_is_not_shown(client: Client, server: Server) -> None:
    server.will(answer({"error": "key secret-key-123 is wrong"}, 401))
    with pytest.raises(exceptions.SoraAuthError, match=r"key \*\*\* is wrong") as caught:
        client.send(RETRIEVE)
    assert "secret-key-123" not in str(caught.value)


def test_delete_is_answered(client: Client, server: Server) -> None:
    server.will(answer({"id": "video_1", "deleted": True}))
    assert client.send(DeleteVideo(video_id="video_1")) is True


def test_waiting_ends_with_the_video_and_tells_of_each_change_once(client: Client, server: Server) -> None:
    seen: list[Video] = []
    sights = [job(), job(), job("in_progress", progress=10), job("in_progress", progress=10), job("completed")]
    server.will(*[answer(sight) for sight in sights])
    video = client.wait(Wait("video_1", deadline=2000, poll_interval_seconds=10), seen.append)
    assert video.status.value == "completed"
    assert [(sight.status.value, sight.progress) for sight in seen] == [
        ("queued", None),
        ("in_progress", 10),
        ("completed", None),
    ]
    assert server.slept == [5, 5, 5, 5]


def test_a_poll_that_fails_is_not_a_video_that_fails(client: Client, server: Server) -> None:
    server.will(answer(job()), httpx.ConnectError("down"), answer("gibberish"), answer(job("completed")))
    assert client.wait(Wait("video_1", 2000, 10)).status.value == "completed"


def test_the_servers_hint_sets_the_pace(client: Client, server: Server) -> None:
    server.will(
        answer(job(), openai_poll_after_ms="2500"), answer(job(), openai_poll_after_ms="x"), answer(job("completed"))
    )
    client.wait(Wait("video_1", 2000, 10))
    assert server.slept == [2.5, 5]


def test_a_wait_ends_at_its_deadline_with_a_last_look(client: Client, server: Server) -> None:
    server.will(*[answer(job("in_progress"))] * 4)
    with pytest.raises(exceptions.SoraWaitTimeoutError, match="left running"):
        client.wait(Wait("video_1", deadline=1012, poll_interval_seconds=10))
    assert server.slept == [5, 5, 2]


def test_pauses_double_up_to_the_interval_where_the_age_is_known(client: Client, server: Server) -> None:
    server.will(*[answer(job("in_progress"))] * 4, answer(job("completed")))
    client.wait(Wait("video_1", 2000, poll_interval_seconds=30, submitted_at=1000))
    assert server.slept == [5, 5, 10, 20, 30]


def test_a_failed_look_counts_the_time_it_took_against_the_deadline(client: Client, server: Server) -> None:
    def time_out(_: httpx.Request) -> httpx.Response:
        server.now += 60
        raise httpx.ReadTimeout("slow")

    server.will(time_out)
    with pytest.raises(exceptions.SoraWaitTimeoutError):
        client.wait(Wait("video_1", deadline=1050, poll_interval_seconds=10))


def test_the_list_is_read_page_by_page(client: Client, server: Server) -> None:
    server.will(
        answer({"data": [job(video_id="a"), job(video_id="b")], "last_id": "b", "has_more": True}),
        answer({"data": [job(video_id="c")], "last_id": "c", "has_more": False}),
    )
    assert [video.id for video in client.list_videos(ListVideos(limit=2, order="asc"))] == ["a", "b", "c"]
    assert server.paths == ["GET /v1/videos?limit=2&order=asc", "GET /v1/videos?limit=2&order=asc&after=b"]


@pytest.mark.parametrize(
    "page",
    [
        {"data": [], "last_id": None, "has_more": True},
        {"data": [job(video_id="a")], "last_id": "a", "has_more": True},
        {"data": [job(video_id="b")], "last_id": None, "has_more": True},
        {"data": [job(video_id="b")], "last_id": "b", "has_more": False},
    ],
    ids=["empty", "the same page again", "no last_id", "no more"],
)
def test_the_list_ends_whatever_the_server_does(client: Client, server: Server, page: dict[str, Any]) -> None:
    server.will(answer({"data": [job(video_id="a")], "last_id": "a", "has_more": True}), answer(page))
    ids = [video.id for video in client.list_videos()]
    assert ids in (["a"], ["a", "b"])
    assert server.answers == []


def test_an_async_client_is_made_with_its_certificates_read_off_the_loop() -> None:
    async def use() -> str:
        async with await AsyncSoraClient.create(SoraConfig("https://host")) as client:
            return client.config.base_url

    assert asyncio.run(use()) == "https://host/v1"


def test_progress_may_go_unheard(server: Server) -> None:
    server.will(answer(job("completed")))
    with SoraClient(CONFIG, transport=httpx.MockTransport(server.handle), clock=lambda: 0) as client:
        assert client.wait(Wait("video_1", 10, 1)).id == "video_1"


def test_content_is_asked_for_uncompressed(server: Server) -> None:
    server.will(httpx.Response(200, content=mp4(100)))
    with SoraClient(CONFIG, transport=httpx.MockTransport(server.handle)) as client:
        assert b"".join(client.read_content(DownloadContent(video_id="v")))
    assert server.requests[0].headers["accept-encoding"] == "identity"
