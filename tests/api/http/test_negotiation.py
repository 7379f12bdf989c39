"""JSON or a form: the first refusal teaches it, is free, and is believed only where nothing can have been accepted."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sora.api.client import AsyncSoraClient, SoraClient
from airflow_provider_sora.api.decisions.acceptance import Acceptance, acceptance_of
from airflow_provider_sora.api.decisions.retry import RequestRetryPolicy
from airflow_provider_sora.api.http import negotiation
from airflow_provider_sora.api.http.config import SoraConfig
from airflow_provider_sora.api.http.negotiation import UNREADABLE
from airflow_provider_sora.api.protocol.error_mapping import status_error
from airflow_provider_sora.api.protocol.requests import (
    CreateCharacter,
    CreateVideo,
    EditVideo,
    InputFile,
    RemixVideo,
    Request,
)
from airflow_provider_sora.api.protocol.response import Response
from airflow_provider_sora.exceptions import SoraError

BASE = "http://Host:8000/v1"
PICTURE = InputFile(b"\x89PNG", "a.png", "image/png")
MP4 = InputFile(b"ftyp", "a.mp4", "video/mp4")
CREATE = CreateVideo(prompt="a cat", model="wan")
FASTAPI = {"detail": [{"type": "missing", "loc": ["body", "prompt"], "msg": "Field required", "input": None}]}
VLLM_OMNI = {
    "error": {
        "message": "[{'type': 'missing', 'loc': ('body', 'prompt'), 'msg': 'Field required', 'input': None}]",
        "type": "Bad Request",
        "param": None,
        "code": 400,
    }
}
WANTS_FORM = [
    (422, FASTAPI),
    (400, VLLM_OMNI),
    (400, {"error": {"message": "1 validation error:\n  prompt: Field required"}}),
    (400, {"error": {"message": "Missing required parameter: 'prompt'.", "param": "prompt"}}),
    (400, {"detail": "prompt is required"}),
    (400, {"error": "Content-Type must be multipart/form-data"}),
    (415, {"detail": "Unsupported Media Type"}),
    (415, None),
]
WANTS_JSON = [
    (415, None),
    (400, {"error": "Content-Type must be application/json"}),
    (422, {"detail": [{"loc": ["body"], "msg": "Input should be a valid dictionary or object"}]}),
    (400, {"error": {"message": "invalid character '-' in numeric literal"}}),
    (422, {"detail": [{"type": "json_invalid", "loc": ["body", 0], "msg": "JSON decode error"}]}),
]
OTHER_REFUSALS = [
    (400, {"error": {"message": "Invalid value for size: '1x1'", "param": "size"}}),
    (400, {"error": {"message": "The prompt was refused by the moderation"}}),
    (422, {"detail": [{"loc": ["body", "size"], "msg": "Field required"}]}),
    (401, FASTAPI),
    (404, FASTAPI),
    (409, FASTAPI),
    (500, FASTAPI),
    (503, FASTAPI),
]


class Server:
    """Reads one encoding and refuses the other; counts what it was sent and what it made."""

    def __init__(self, reads: str, refusal: tuple[int, Any]) -> None:
        self.reads = reads
        self.refusal = refusal
        self.sent: list[str] = []
        self.made = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        form = request.headers.get("content-type", "").startswith("multipart/")
        self.sent.append("form" if form else "json")
        if self.sent[-1] != self.reads:
            status, body = self.refusal
            return httpx.Response(status, content=b"" if body is None else json.dumps(body).encode())
        self.made += 1
        return httpx.Response(200, json={"id": f"video_{self.made}", "status": "queued"})


def client(server: Callable[[httpx.Request], httpx.Response], **config: Any) -> SoraClient:
    return SoraClient(
        SoraConfig(config.pop("base_url", BASE), **config),
        RequestRetryPolicy(attempts=1),
        transport=httpx.MockTransport(server),
    )


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(negotiation, "_learned", {})


@pytest.mark.parametrize("refusal", WANTS_FORM)
def test_a_server_that_wants_a_form_gets_one(refusal: tuple[int, Any], caplog: pytest.LogCaptureFixture) -> None:
    server = Server("form", refusal)
    with caplog.at_level(logging.INFO, "airflow_provider_sora"):
        assert client(server).send(CREATE).id == "video_1"
    assert server.sent == ["json", "form"]
    expected = f"http://host:8000/v1 could not parse POST /videos as JSON (HTTP {refusal[0]})"
    said = [record.message for record in caplog.records if record.name.startswith("airflow_provider_sora")]
    assert [words.startswith(expected) for words in said] == [True]


@pytest.mark.parametrize("refusal", WANTS_JSON)
def test_a_server_that_wants_json_gets_it_with_the_picture_in_it(refusal: tuple[int, Any]) -> None:
    server = Server("json", refusal)
    assert client(server).send(CreateVideo(prompt="a", input_reference=PICTURE)).id == "video_1"
    assert server.sent == ["form", "json"]


def test_what_was_learned_is_remembered_for_the_server_and_the_call() -> None:
    server = Server("form", WANTS_FORM[0])
    for _ in range(2):
        with client(server) as one:
            one.send(CREATE)
    assert server.sent == ["json", "form", "form"]
    other = Server("json", WANTS_JSON[0])
    client(other, base_url="http://other/v1").send(CREATE)
    assert other.sent == ["json"]
    client(server).send(RemixVideo(video_id="v", prompt="a"))
    assert server.sent[3:] == ["json", "form"]


def test_a_server_that_has_changed_its_mind_is_learned_anew() -> None:
    client(Server("form", WANTS_FORM[0])).send(CREATE)
    server = Server("json", WANTS_JSON[1])
    client(server).send(CREATE)
    client(server).send(CREATE)
    assert server.sent == ["form", "json", "json"]


def test_a_video_file_is_still_sent_as_a_form_to_a_server_that_reads_json() -> None:
    server = Server("json", WANTS_JSON[0])
    client(server).send(EditVideo(prompt="a", video={"id": "v"}))
    negotiation._learned[("http://host:8000/v1", "EditVideo")] = "json"
    with pytest.raises(SoraError, match="415"):
        client(server).send(EditVideo(prompt="a", video=MP4))
    assert server.sent == ["json", "form"]


@pytest.mark.parametrize("refusal", OTHER_REFUSALS)
def test_any_other_refusal_is_passed_on_and_nothing_is_sent_again(refusal: tuple[int, Any]) -> None:
    server = Server("form", refusal)
    with pytest.raises(SoraError):
        client(server).send(CREATE)
    assert server.sent == ["json"]


def test_a_refusal_of_both_is_passed_on_in_the_first_words_and_nothing_is_learned() -> None:
    server = Server("neither", (422, FASTAPI))
    for _ in range(2):
        with pytest.raises(SoraError, match=r"body\.prompt: Field required"):
            client(server).send(CREATE)
    assert server.sent == ["json", "form"] * 2


@pytest.mark.parametrize("encoding", ["json", "multipart"])
def test_an_encoding_that_was_set_is_kept(encoding: Any) -> None:
    server = Server("neither", (415, None))
    with pytest.raises(SoraError):
        client(server, encoding=encoding).send(CREATE)
    assert server.sent == ["form" if encoding == "multipart" else "json"]


@pytest.mark.parametrize("request_", [CreateCharacter(name="Tom", video=MP4), EditVideo(prompt="a", video=MP4)])
def test_what_has_one_encoding_only_is_sent_once(request_: Request[Any]) -> None:
    server = Server("json", (415, None))
    with pytest.raises(SoraError):
        client(server).send(request_)
    assert server.sent == ["form"]


def test_the_loss_of_the_second_answer_is_as_ambiguous_as_any(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server("form", WANTS_FORM[0])

    def lossy(request: httpx.Request) -> httpx.Response:
        response = server(request)
        if response.status_code == 200:
            raise httpx.ReadTimeout("lost")
        return response

    with pytest.raises(SoraError, match="the server may have accepted it"):
        client(lossy).send(CREATE)
    assert server.made == 1


def test_the_event_loop_learns_too() -> None:
    server = Server("form", WANTS_FORM[0])

    async def use() -> str:
        async with AsyncSoraClient(SoraConfig(BASE), transport=httpx.MockTransport(server)) as one:
            return (await one.send(CREATE)).id

    assert asyncio.run(use()) == "video_1"
    assert server.sent == ["json", "form"]


@given(
    prompt=st.text(min_size=1) | st.sampled_from(["prompt is required", "a multipart/form-data poster", "missing"]),
    status=st.integers(300, 599),
    template=st.sampled_from(["{}", "refused: {}", "Your words, {!r}, are not allowed"]),
)
def test_no_users_words_make_a_server_be_paid_twice(prompt: str, status: int, template: str) -> None:
    """A server that accepts both and repeats the prompt in a refusal is asked once."""
    if status == 415:
        return
    server = Server("neither", (status, {"error": {"message": template.format(prompt)}}))
    with pytest.raises(SoraError):
        client(server).send(CreateVideo(prompt=prompt))
    assert server.sent == ["json"]


@pytest.mark.parametrize("status", sorted(UNREADABLE))
def test_a_paid_request_is_sent_again_only_after_a_status_that_surely_did_not_accept_it(status: int) -> None:
    error = status_error(CreateVideo(prompt="a cat"), Response(0.0, status, body=b'{"error": "Not JSON"}'))
    assert acceptance_of(error) is Acceptance.NO
