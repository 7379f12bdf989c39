"""What we send is what the official client sends: the same calls through both into a server that writes them down.

The differences that are meant:
- without a file we send JSON, which the description of the API allows and more servers understand; with the
  connection's `encoding` set to `multipart` the bodies are equal, and that is compared here;
- we name videos by `{"id": …}` and pictures by `{"image_url": …}`, where the official client raises before sending;
- our headers have our name, and none that start with `x-stainless`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler
from typing import Any

import openai
import pytest

from airflow_provider_sora.hooks.sora import SoraHook
from tests.http_server import LoopbackServer
from tests.media import mp4
from tests.pictures import png

MP4 = mp4(100)
PNG = png((64, 64))
ANSWER = {
    "id": "v",
    "object": "video",
    "status": "completed",
    "model": "m",
    "data": [],
    "has_more": False,
    "deleted": True,
}


class Recorder:
    """Answers everything and keeps what it was asked."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path, _, query = self.path.partition("?")
                outer.calls.append(
                    {
                        "line": f"{self.command} {path}",
                        "query": query,
                        "authorization": self.headers["Authorization"],
                        "body": decode(self.headers.get("Content-Type") or "", body),
                    }
                )
                answer = MP4 if path.endswith("/content") else json.dumps(ANSWER).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.send_header("Content-Type", "video/mp4" if answer is MP4 else "application/json")
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = do_DELETE = handle_any

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = LoopbackServer(Handler)
        self.url = f"{self.server.url}/v1"


def decode(content_type: str, body: bytes) -> Any:
    """A body as JSON, or as the parts of a form: name, file name, type, content."""
    if body and content_type.startswith("application/json"):
        return json.loads(body)
    if not content_type.startswith("multipart/form-data"):
        return body
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    return sorted(
        (
            str(part.get_param("name", header="content-disposition")),
            str(part.get_filename() or ""),
            part.get_content_type() if part.get_filename() else "",
            part.get_payload(decode=True),
        )
        for part in message.iter_parts()
    )


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    with recorder.server:
        yield recorder


Official = Callable[[openai.OpenAI], Any]
Ours = Callable[[SoraHook], Any]
CALLS: dict[str, tuple[Official, Ours]] = {
    "create": (
        lambda client: client.videos.create(prompt="a cät", model="sora-2", seconds="8", size="1280x720"),
        lambda hook: hook.create_video("a cät", model="sora-2", seconds=8, size="1280x720"),
    ),
    "create with further fields": (
        lambda client: client.videos.create(prompt="a cat", extra_body={"negative_prompt": "text"}),
        lambda hook: hook.create_video("a cat", negative_prompt="text"),
    ),
    "create with a picture": (
        lambda client: client.videos.create(prompt="a", input_reference=("input_reference.png", PNG, "image/png")),
        lambda hook: hook.create_video("a", input_reference=PNG),
    ),
    "extend": (
        lambda client: client.videos.extend(prompt="a", video=("video.mp4", MP4, "video/mp4"), seconds="8"),
        lambda hook: hook.extend_video(MP4, "a", seconds="8"),
    ),
    "edit": (
        lambda client: client.videos.edit(prompt="a", video=("video.mp4", MP4, "video/mp4")),
        lambda hook: hook.edit_video(MP4, "a"),
    ),
    "character": (
        lambda client: client.videos.create_character(name="Tom", video=("video.mp4", MP4, "video/mp4")),
        lambda hook: hook.create_character("Tom", MP4),
    ),
    "remix": (
        lambda client: client.videos.remix("video_1", prompt="a"),
        lambda hook: hook.remix_video("video_1", "a"),
    ),
    "get character": (lambda client: client.videos.get_character("c"), lambda hook: hook.get_character("c")),
    "retrieve": (lambda client: client.videos.retrieve("video_1"), lambda hook: hook.get_video("video_1")),
    "delete": (lambda client: client.videos.delete("video_1"), lambda hook: hook.delete_video("video_1")),
    "list": (
        lambda client: list(client.videos.list(limit=5, order="asc", after="v")),
        lambda hook: list(hook.list_videos(limit=5, order="asc", after="v")),
    ),
    "content": (
        lambda client: client.videos.download_content("video_1"),
        lambda hook: b"".join(hook.download_content("video_1")),
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_we_send_is_what_the_official_client_sends(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # The official client always sends remix as JSON.
    encoding = "auto" if name == "remix" else "multipart"
    connection = {"conn_type": "sora", "host": recorder.url, "password": "key-1234", "extra": {"encoding": encoding}}
    monkeypatch.setenv("AIRFLOW_CONN_SORA_DEFAULT", json.dumps(connection))
    official, ours = CALLS[name]
    official(openai.OpenAI(base_url=recorder.url, api_key="key-1234", max_retries=0))
    with SoraHook() as hook:
        ours(hook)
    theirs, mine = recorder.calls
    assert sorted(mine.pop("query").split("&")) == sorted(theirs.pop("query").split("&"))
    assert mine == theirs


def test_without_a_file_we_send_json(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {"conn_type": "sora", "host": recorder.url, "password": "key-1234"}
    monkeypatch.setenv("AIRFLOW_CONN_SORA_DEFAULT", json.dumps(connection))
    with SoraHook() as hook:
        hook.edit_video("video_1", "a")
        hook.create_video("a", input_reference="https://host/cat.png", reference_as="object")
    assert [call["body"] for call in recorder.calls] == [
        {"prompt": "a", "video": {"id": "video_1"}},
        {"prompt": "a", "input_reference": {"image_url": "https://host/cat.png"}},
    ]
