"""Keys are planted wherever a connection, a user or a server can have them, and looked for in all that leaves."""

from __future__ import annotations

import asyncio
import json
import logging
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_sora.api.client import AsyncSoraClient, SoraClient
from airflow_provider_sora.api.decisions.polling import Wait
from airflow_provider_sora.api.decisions.retry import RequestRetryPolicy
from airflow_provider_sora.api.http.config import SoraConfig
from airflow_provider_sora.api.protocol.requests import (
    CreateCharacter,
    CreateVideo,
    DeleteVideo,
    DownloadContent,
    EditVideo,
    GetCharacter,
    InputFile,
    ListVideos,
    RemixVideo,
    Request,
    RetrieveVideo,
)
from airflow_provider_sora.emulator import Emulator
from airflow_provider_sora.events import VideoEvent
from airflow_provider_sora.exceptions import SoraError
from airflow_provider_sora.hooks.sora import SoraHook
from airflow_provider_sora.manifest import VideoManifest
from airflow_provider_sora.operators.sora import SoraCreateCharacterOperator, SoraCreateVideoOperator
from airflow_provider_sora.sensors.sora import SoraVideoSensor
from airflow_provider_sora.transfers.sora_to_local import SoraDownloadVideoOperator
from airflow_provider_sora.triggers.sora import SoraVideoTrigger
from tests.http_server import LoopbackServer
from tests.operators.running import run_blocking, run_deferred

STATUSES = (200, 201, 202, 204, 302, 307, 400, 401, 403, 404, 405, 408, 409, 410, 413, 422, 425, 429, 500, 501, 503)
REQUESTS: list[Request[Any]] = [
    CreateVideo(prompt="a cat"),
    EditVideo(prompt="a cat", video={"id": "v"}),
    RemixVideo(prompt="a cat", video_id="v"),
    CreateCharacter(name="Tom", video=InputFile(b"\0\0\0\x20ftypisom", "a.mp4", "video/mp4")),
    GetCharacter(character_id="c"),
    RetrieveVideo(video_id="v"),
    ListVideos(),
    DeleteVideo(video_id="v"),
    DownloadContent(video_id="v"),
]

# A key has marks that nothing else holds, and between them whatever a header may hold.
ODD = "".join(map(chr, range(0x21, 0x7F)))


@st.composite
def keys(draw: st.DrawFn, name: str) -> str:
    between = draw(st.text(ODD, max_size=4))
    return f"{name}Mark1{between}{name}Mark2"


MARKS = ("Mark1", "Mark2")


def bodies(key: str) -> dict[str, bytes]:
    """Everything that a server may answer and that holds a key."""
    failed = {"id": "v", "object": "video", "status": "failed", "error": {"code": key, "message": f"no {key}!"}}
    long = "x " * 140 + key
    values: dict[str, Any] = {
        "message": {"error": {"message": f"the key {key} is wrong", "code": key}},
        "text": {"error": key},
        "detail": {"detail": [{"loc": ["body", key], "msg": f"it's {key}"}]},
        "odd": {"odd": {"deep": [f"\"{key}'"]}},
        "failed": failed,
        "wrapped": {"error": {"message": f"litellm: {json.dumps(failed)}"}},
        "video": {"id": "v", "status": "completed", "model": key, "seconds": key, "size": key, "prompt": key},
        "running": {"id": "v", "status": key, "model": key},
        "page": {"data": [{"id": "v", "status": "completed", "model": key}], "last_id": None},
        "broken page": {"data": [{"status": key}]},
        "character": {"id": "c", "name": key},
        "long": {"error": long},
        "no json": key,
    }
    plain = {name: json.dumps(value).encode() for name, value in values.items()}
    plain["raw"] = f"<html>{key} {quote(key, safe='')}".encode()
    plain["cut"] = long.encode()
    plain["url"] = (
        f"see https://user:{quote(key, safe='')}@cdn/{quote(key, safe='')}?sig={quote(key, safe='')}".encode()
    )
    plain["bytes"] = b"\xff" + key.encode() + b"\0"
    return plain


def headers_of(key: str) -> dict[str, str]:
    location = f"http://127.0.0.1:1/{quote(key, safe='')}/x?X-Amz-Signature={quote(key, safe='')}"
    return {
        "location": location,
        "www-authenticate": f"Bearer {key}",
        "x-echo": key,
        "content-type": "application/json",
    }


def config_with(password: str, header: str, spaced: str, query: str) -> SoraConfig:
    return SoraConfig(
        "http://server",
        api_key=password,
        headers={"X-Token": f"Bearer {header}", "X-Spaced": f"  {spaced} "},
        query={"token": query},
        allow_private_urls=True,
    )


def everything_of(call: Callable[[], Any]) -> str:
    """What a call says: its result, or its error with the traceback, and the event that is made of either."""
    try:
        result = call()
    except SoraError as error:
        event = VideoEvent.of_error("v", error).to_json()
        with pytest.raises(SoraError) as again:
            VideoEvent.parse(event).manifest()
        return "\n".join(
            [
                "".join(traceback.format_exception(error)),
                repr(error),
                str(vars(error)),
                json.dumps(event),
                str(again.value),
            ]
        )
    if hasattr(result, "status"):
        manifest = VideoManifest.of(result, "c")
        return json.dumps([manifest.to_json(), VideoEvent.of(manifest).to_json()])
    return ""


def send(client: SoraClient, request: Request[Any]) -> Any:
    if isinstance(request, DownloadContent):
        return b"".join(client.read_content(request)) and None
    if isinstance(request, RetrieveVideo):
        return client.wait(Wait("v", 1e9, 1.0), lambda _: None)
    return client.send(request)


async def send_async(client: AsyncSoraClient, request: Request[Any]) -> Any:
    if isinstance(request, DownloadContent):
        return [chunk async for chunk in client.read_content(request)] and None
    return await client.send(request)


def found_in(text: str) -> str:
    """The line in which a mark stands."""
    return next((line for line in text.splitlines() if any(mark in line for mark in MARKS)), "")


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """All that is logged, whatever Airflow has set for a logger."""
    names = ("httpx", "httpcore", *(f"httpcore.{name}" for name in ("connection", "http11")), "airflow_provider_sora")
    levels = {name: logging.getLogger(name).level for name in names}
    caplog.set_level(logging.DEBUG)
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)
    yield caplog
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.tuples(keys("pass"), keys("head"), keys("spaced"), keys("query")),
    st.integers(0, 3),
    st.sampled_from(sorted(bodies(""))),
    st.sampled_from(REQUESTS),
    st.sampled_from(STATUSES),
)
def test_no_key_that_a_server_repeats_leaves(
    logs: pytest.LogCaptureFixture,
    secrets: tuple[str, str, str, str],
    repeated: int,
    body: str,
    request_: Request[Any],
    status: int,
) -> None:
    config, key = config_with(*secrets), secrets[repeated]
    once, now = RequestRetryPolicy(attempts=1), iter(range(10**9, 2 * 10**9, 10**7))
    transport = httpx.MockTransport(
        lambda _: httpx.Response(status, stream=httpx.ByteStream(bodies(key)[body]), headers=headers_of(key))
    )

    def blocking() -> Any:
        with SoraClient(
            config, once, transport=transport, sleep=lambda _: None, clock=lambda: float(next(now))
        ) as client:
            return send(client, request_)

    async def use() -> Any:
        async with AsyncSoraClient(config, once, transport=transport) as client:
            return await send_async(client, request_)

    said = [repr(config), everything_of(blocking), everything_of(lambda: asyncio.run(use()))]
    assert not found_in("\n".join(said))
    assert not found_in(logs.text)
    logs.clear()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keys("user"), keys("query"))
def test_no_signature_or_password_of_a_users_url_leaves(sora_emulator: Emulator, user: str, query: str) -> None:
    hosts = [f"https://u:{user}@[::1", f"https://{user}@host", f"https://host/x?k={quote(query)}", f"u:{user}@h/v1"]
    for host in hosts:
        with pytest.raises(SoraError) as caught:
            SoraConfig(host)
        assert not found_in(f"{caught.value}"), host
    hook = SoraHook()
    for url in (
        f"https://u:{quote(user, safe='')}@[::1?sig={quote(query, safe='')}",
        f"ftp://host/x?token={quote(query)}",
    ):
        with pytest.raises(SoraError) as caught:
            hook.create_video.build("a cat", input_reference=url)
        assert not found_in(f"{caught.value}")


PASSWORD, HEADER, SPACED, QUERY = "passMark1'\"Mark2", "headMark1%Mark2", "spacedMark1/Mark2", "queryMark1&Mark2"
SECRETS = (PASSWORD, HEADER, SPACED, QUERY)


class LeakyServer(BaseHTTPRequestHandler):
    """Answers whatever `script` says to a method and path, with every key in the headers."""

    script: Callable[[str, str], tuple[int, dict[str, Any]]]
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        status, payload = type(self).script(self.command, self.path)
        body = json.dumps(payload).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/json")
        self.send_header("Location", f"http://127.0.0.1:1/x?X-Amz-Signature={quote(PASSWORD, safe='')}")
        for number, key in enumerate(SECRETS):
            self.send_header(f"X-Echo-{number}", key)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = answer

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


@pytest.fixture
def leaky(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[LeakyServer]]:
    """A leaky server, and the connection to it."""
    server = LoopbackServer(LeakyServer)
    extra = {
        "headers": {"X-Token": f"Bearer {HEADER}", "X-Spaced": f" {SPACED} "},
        "query": {"token": QUERY},
        "allow_private_urls": True,
    }
    connection = {
        "conn_type": "sora",
        "host": server.url,
        "password": PASSWORD,
        "extra": extra,
    }
    monkeypatch.setenv("AIRFLOW_CONN_SORA_DEFAULT", json.dumps(connection))
    with server:
        yield LeakyServer


def job(status: str, key: str) -> dict[str, Any]:
    error = {"code": "moderation", "message": f"the key {key} may not"} if status == "failed" else None
    return {
        "id": "video_1",
        "status": status,
        "model": key,
        "seconds": key,
        "size": key,
        "prompt": "a cat",
        "error": error,
    }


def said_by(call: Callable[[], Any]) -> str:
    try:
        return json.dumps(call(), default=repr)
    except Exception as error:  # noqa: BLE001 - whatever it is, it reaches a log
        return "".join(traceback.format_exception(error))


@pytest.mark.parametrize("key", SECRETS)
@pytest.mark.parametrize("run", [run_blocking, run_deferred])
@pytest.mark.parametrize("ending", ["completed", "failed", "400", "302", "200"])
def test_no_key_leaves_a_task_or_a_triggerer(
    leaky: type[LeakyServer], logs: pytest.LogCaptureFixture, key: str, run: Any, ending: str
) -> None:
    def script(method: str, path: str) -> tuple[int, dict[str, Any]]:
        if method == "POST":
            return 200, job("queued", key)
        return (
            (200, job(ending, key)) if ending in ("completed", "failed") else (int(ending), {"error": key, "id": None})
        )

    leaky.script = staticmethod(script)
    task = SoraCreateVideoOperator(task_id="t", prompt="a cat", poll_interval=0.01, timeout=0.5)
    said = said_by(lambda: run(task))
    assert "video_1" in said
    assert not found_in(said + logs.text)


@pytest.mark.parametrize("key", SECRETS)
@pytest.mark.parametrize("status", [200, 302, 400, 401, 404])
def test_no_key_leaves_other_tasks(
    leaky: type[LeakyServer], logs: pytest.LogCaptureFixture, tmp_path: Any, key: str, status: int
) -> None:
    leaky.script = staticmethod(lambda *_: (status, {"error": key, "id": "c", "name": key, "status": key}))
    tasks: list[Any] = [
        SoraCreateCharacterOperator(task_id="c", name="Tom", video=b"\0\0\0\x20ftypisom"),
        SoraDownloadVideoOperator(task_id="d", video="video_1", path=f"{tmp_path}/{{id}}.{{extension}}"),
    ]
    said = [said_by(lambda t=task: t.execute({})) for task in tasks]  # type: ignore[misc]
    said.append(said_by(lambda: SoraVideoSensor(task_id="s", video="video_1").poke({})))
    said.append(said_by(SoraHook().test_connection))
    assert not found_in("\n".join(said) + logs.text)


def test_no_key_is_in_a_triggers_row_nor_in_its_log_when_it_breaks(
    leaky: type[LeakyServer], logs: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: str) -> Any:
        raise ValueError(f"no {PASSWORD}")

    with SoraHook() as hook:
        hook.get_conn()
    monkeypatch.setattr("airflow_provider_sora.triggers.sora.poller_for", broken)
    trigger = SoraVideoTrigger(sora_conn_id="sora_default", video_id="video_1", deadline=9e9, poll_interval=1)

    async def first() -> Any:
        return (await anext(aiter(trigger.run()))).payload

    event = asyncio.run(first())
    assert event["outcome"] == "stopped"
    assert not found_in(f"{event}{trigger.serialize()}{logs.text}")
