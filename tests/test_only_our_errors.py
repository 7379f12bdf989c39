"""Whatever is given to a public constructor or a hook's method, what comes out is an error of our tree."""

from __future__ import annotations

import asyncio
import inspect
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from airflow_provider_sora.api.client import AsyncSoraClient, SoraClient
from airflow_provider_sora.api.decisions.retry import RequestRetryPolicy
from airflow_provider_sora.api.http.config import SoraConfig
from airflow_provider_sora.api.protocol import requests
from airflow_provider_sora.compat import Connection, ObjectStoragePath
from airflow_provider_sora.events import VideoEvent
from airflow_provider_sora.exceptions import SoraError
from airflow_provider_sora.get_provider_info import CONN_FIELDS
from airflow_provider_sora.hooks.connection import read_config
from airflow_provider_sora.hooks.sora import SoraHook
from airflow_provider_sora.manifest import VideoManifest
from airflow_provider_sora.operators import sora as operators
from airflow_provider_sora.sensors.sora import SoraVideoSensor
from airflow_provider_sora.transfers.sora_to_gcs import SoraToGCSOperator
from airflow_provider_sora.transfers.sora_to_local import SoraDownloadVideoOperator
from airflow_provider_sora.transfers.sora_to_object_storage import SoraToObjectStorageOperator
from airflow_provider_sora.transfers.sora_to_s3 import SoraToS3Operator
from airflow_provider_sora.triggers.completed import SoraVideoCompletedTrigger
from airflow_provider_sora.triggers.sora import SoraVideoTrigger
from tests.pictures import png

ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)

TEXTS = [
    *("", " ", ".", "..", "0x0", "64x64", "99999x99999", "1" * 5000, "x" * 70_000, "\ud800", "a\0b", "a\n", "{"),
    *("{id}", "{id:{x}}", "{{ x }}", "https://", "http://[", "http://[::1]/x", "http://127.0.0.1/x", "http://h:99999"),
    *("s3://", "s3://b", "gs://b/k", "file://x", "file:///", "/", "/dev/zero", "/proc/self/environ", "~", "data:"),
    *("data:;base64,!", "::", "simplecache::http://127.0.0.1", "http://\u2100/x", "http://xn--a/x", "file-1"),
    *("video_1", "4", "4.0", "queued", "skip", "sora-2", "sora-2-pro"),
]
ODD: list[Any] = [
    *TEXTS,
    *(None, True, 0, -1, 1, 10**400, float("nan"), float("inf"), -1.5, 1e300, object(), object, len, ENDLESS, ...),
    *(b"", b"x", b"\x89PNG\r\n\x1a\n", png((8, 8)), png((8, 8))[:40], bytearray(b"x"), Path("/x"), Path("a\0b")),
    *({"id": "v", "model": "sora-2", "seconds": "x"}, {"id": "v", "model": "sora-2", "seconds": []}),
    *({}, {"id": None}, {"id": ".."}, {"id": "v"}, {"file_id": 1}, {1: 2}, {"id": "v", "status": "x", "conn_id": 7}),
    *(set(), {1}, [], [1], [None], ["v", "v"], [["v"]], ("v",), [{}], [{"id": "v"}] * 3),
    *(timedelta(0), timedelta.max, timedelta(seconds=4), ObjectStoragePath("file:///nowhere/x")),
]

plain = st.sampled_from(ODD) | st.text(max_size=30) | st.integers() | st.floats() | st.binary(max_size=30)
values = plain | st.dictionaries(st.text(max_size=5), plain, max_size=3) | st.lists(plain, max_size=3)


def arguments_of(call: Any) -> list[str]:
    """The names of the arguments that a callable takes."""
    kinds = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [argument.name for argument in inspect.signature(call).parameters.values() if argument.kind in kinds]


def own_arguments(kind: Any) -> list[str]:
    """The arguments of a class of ours, and of the classes of ours that it comes from."""
    ours = [base for base in kind.__mro__ if base.__module__.startswith("airflow_provider_sora")]
    names = {name for base in ours if "__init__" in vars(base) for name in arguments_of(vars(base)["__init__"])}
    return sorted(names - {"self"})


def draw_arguments(data: st.DataObject, names: list[str], good: dict[str, Any]) -> dict[str, Any]:
    """Good arguments, of which some are replaced, and others beside them."""
    changed = data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
    return {**good, **{name: data.draw(values, label=name) for name in changed}}


def only_our_errors(call: Any, *args: Any, **kwargs: Any) -> Any:
    """What a call returns; None where it raised an error of ours. Anything else fails the test."""
    try:
        return call(*args, **kwargs)
    except SoraError as error:
        words = str(error)
    assert words
    assert len(words) < 9000
    return None


GOOD: dict[Any, dict[str, Any]] = {
    operators.SoraCreateVideoOperator: {"prompt": "a cat"},
    operators.SoraExtendVideoOperator: {"video": "video_1", "prompt": "it rains"},
    operators.SoraEditVideoOperator: {"video": "video_1", "prompt": "it rains"},
    operators.SoraRemixVideoOperator: {"video": "video_1", "prompt": "it rains"},
    operators.SoraCreateCharacterOperator: {"name": "Tom", "video": b"\0\0\0\x20ftypisom"},
    operators.SoraDeleteVideoOperator: {"video": "video_1"},
    SoraVideoSensor: {"video": "video_1"},
    SoraDownloadVideoOperator: {"video": "video_1", "path": "/nowhere/{id}.{extension}"},
    SoraToObjectStorageOperator: {"video": "video_1", "path": "file:///nowhere/{id}.{extension}"},
    SoraToS3Operator: {"video": "video_1", "s3_bucket": "b", "s3_key": "{id}"},
    SoraToGCSOperator: {"video": "video_1", "bucket_name": "b", "object_name": "{id}"},
}
# Airflow's own argument, which its own base class checks in its own words.
AIRFLOWS = {"poke_interval"}
THOROUGH = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


@THOROUGH
@given(st.data())
@pytest.mark.parametrize("kind", GOOD, ids=lambda kind: kind.__name__)
def test_operators_are_made_or_say_what_is_wrong(kind: Any, data: st.DataObject) -> None:
    names = [name for name in own_arguments(kind) if name not in AIRFLOWS]
    given_ = draw_arguments(data, names, GOOD[kind])
    assume("[...]" not in repr(given_))  # Airflow's own search for outputs of other tasks does not end in it
    only_our_errors(kind, task_id="t", **given_)


@pytest.fixture(scope="module")
def hook() -> SoraHook:
    """A hook whose server answers a video to everything."""
    made = SoraHook()
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=httpx.ByteStream(VIDEO)))
    made.__dict__["_client"] = SoraClient(
        SoraConfig("http://server"), RequestRetryPolicy(attempts=1), transport=transport, sleep=lambda _: None
    )
    return made


VIDEO = b'{"id": "video_1", "status": "queued"}'
METHODS: dict[str, dict[str, Any]] = {
    "create_video": {"prompt": "a cat"},
    "extend_video": {"video": "video_1", "prompt": "a cat"},
    "edit_video": {"video": "video_1", "prompt": "a cat"},
    "remix_video": {"video": "video_1", "prompt": "a cat"},
    "create_character": {"name": "Tom", "video": b"\0\0\0\x20ftypisom"},
    "get_character": {"character_id": "c"},
    "get_video": {"video_id": "video_1"},
    "delete_video": {"video_id": "video_1"},
    "list_videos": {},
    "download_content": {"video_id": "video_1"},
    "cancel_video": {"video_id": "video_1"},
}


@THOROUGH
@given(st.data())
@pytest.mark.parametrize("name", METHODS)
def test_hook_methods_answer_or_say_what_is_wrong(
    hook: SoraHook, monkeypatch: pytest.MonkeyPatch, name: str, data: st.DataObject
) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("127.0.0.1", 80))])
    monkeypatch.setattr(SoraHook, "get_config", lambda _: SoraConfig("http://127.0.0.1:1"))
    monkeypatch.setattr(ObjectStoragePath, "open", lambda *_: (_ for _ in ()).throw(FileNotFoundError(2, "none")))
    method = getattr(hook, name)
    names = arguments_of(method)
    if "prompt" in names or "name" in names:
        names += ["seed", "x y", "\ud800"]
    found = only_our_errors(method, **draw_arguments(data, names, METHODS[name]))
    if inspect.isgenerator(found):
        only_our_errors(list, found)


RENDERED: dict[Any, list[str]] = {
    operators.SoraCreateVideoOperator: [
        *("prompt", "model", "seconds", "size", "input_reference", "characters", "storage_conn_id", "parameters")
    ],
    operators.SoraExtendVideoOperator: ["video", "prompt", "seconds", "storage_conn_id", "parameters"],
    operators.SoraEditVideoOperator: ["video", "prompt", "storage_conn_id", "parameters"],
    operators.SoraRemixVideoOperator: ["video", "prompt", "parameters"],
}


@THOROUGH
@given(st.data())
@pytest.mark.parametrize("kind", RENDERED, ids=lambda kind: kind.__name__)
def test_what_templates_and_other_tasks_give_is_sent_or_named(
    hook: SoraHook, monkeypatch: pytest.MonkeyPatch, kind: Any, data: st.DataObject
) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("127.0.0.1", 80))])
    monkeypatch.setattr(ObjectStoragePath, "open", lambda *_: (_ for _ in ()).throw(FileNotFoundError(2, "none")))
    task = kind(task_id="t", **GOOD[kind])
    rendered = draw_arguments(data, RENDERED[kind], {})
    assume("[...]" not in repr(rendered))
    for name, value in rendered.items():
        setattr(task, name, value)
    steps = only_our_errors(task.step_count)
    if steps is not None:
        only_our_errors(task.build_request, hook, 0, None)


@THOROUGH
@given(values, values, values)
def test_videos_and_paths_that_come_at_run_time_are_taken_or_named(video: Any, slug: Any, path: Any) -> None:
    assume("[...]" not in repr((video, slug, path)))
    sensor = SoraVideoSensor(task_id="t", video="video_1")
    sensor.video = video
    only_our_errors(sensor._job)
    transfer = SoraToObjectStorageOperator(task_id="t", **GOOD[SoraToObjectStorageOperator])
    transfer.video, transfer.slug, transfer.path = video, slug, path
    only_our_errors(transfer._videos)
    if only_our_errors(transfer.key_template) is not None:
        only_our_errors(transfer.check_store)
    s3 = SoraToS3Operator(task_id="t", **GOOD[SoraToS3Operator])
    s3.s3_bucket, s3.s3_key = video, path
    only_our_errors(s3.key_template)
    gcs = SoraToGCSOperator(task_id="t", **GOOD[SoraToGCSOperator])
    gcs.bucket_name, gcs.object_name = video, path
    only_our_errors(gcs.key_template)
    local = SoraDownloadVideoOperator(task_id="t", **GOOD[SoraDownloadVideoOperator])
    local.path = path
    only_our_errors(local.key_template)


@THOROUGH
@given(st.data())
def test_requests_are_made_or_say_what_is_wrong(data: st.DataObject) -> None:
    kinds: list[Any] = [
        requests.CreateVideo,
        requests.ExtendVideo,
        requests.RemixVideo,
        requests.CreateCharacter,
        requests.ListVideos,
        requests.DownloadContent,
    ]
    kind = data.draw(st.sampled_from(kinds))
    only_our_errors(kind, **draw_arguments(data, list(kind.model_fields), {}))


HOSTS = ["https://host", "host:x", "[::1", "https://\ud800", "http://a b", "http://xn--a", "http://\u2100"]


@THOROUGH
@given(st.data())
def test_connections_are_read_or_say_what_is_wrong(data: st.DataObject) -> None:
    extra = draw_arguments(data, list(CONN_FIELDS), {})
    connection = Connection(
        conn_id="c",
        conn_type="sora",
        host=data.draw(st.sampled_from(HOSTS) | st.text()),
        password=data.draw(st.none() | st.text()),
    )
    config = only_our_errors(read_config, connection, extra)
    if config is None:
        return
    transport = httpx.MockTransport(lambda _: httpx.Response(500))
    with SoraClient(config, RequestRetryPolicy(attempts=1), transport=transport) as client:
        only_our_errors(client.send, requests.CreateVideo(prompt="a cat"))


@THOROUGH
@given(st.data())
def test_triggers_end_in_an_event_whatever_their_row_holds(
    monkeypatch: pytest.MonkeyPatch, data: st.DataObject
) -> None:
    def no_poller(_: str) -> Any:
        raise ValueError("no poller here")

    monkeypatch.setattr("airflow_provider_sora.triggers.sora.poller_for", no_poller)
    row = draw_arguments(data, [*own_arguments(SoraVideoTrigger), "newer"], {"video_id": "video_1"})
    watcher = draw_arguments(data, [*own_arguments(SoraVideoCompletedTrigger), "newer"], {})

    async def events() -> list[Any]:
        return [event.payload async for event in SoraVideoTrigger(**row).run()]

    if isinstance(row["video_id"], str):
        (payload,) = asyncio.run(events())
        assert not VideoEvent.parse(payload).video
    SoraVideoCompletedTrigger(**watcher).serialize()


@THOROUGH
@given(values, st.dictionaries(st.sampled_from(sorted(VideoManifest.model_fields)), values))
def test_what_comes_from_other_tasks_is_read_or_named(value: Any, manifest: dict[str, Any]) -> None:
    only_our_errors(VideoEvent.parse, value)
    only_our_errors(VideoManifest.parse, manifest)
    only_our_errors(VideoManifest.parse, value if isinstance(value, dict) else {})


LOCATIONS = ["http://[", "http://host:99999/x", "http://℀/", "//[", "", "http://xn--a/", "javascript:x", "http://"]


@pytest.mark.parametrize("location", LOCATIONS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_nowhere_is_an_error_of_ours(location: str, status: int) -> None:
    headers = [(b"location", location.encode())]
    transport = httpx.MockTransport(lambda _: httpx.Response(status, headers=headers, stream=httpx.ByteStream(b"")))
    config, once = SoraConfig("http://server", allow_private_urls=True), RequestRetryPolicy(attempts=1)
    with SoraClient(config, once, transport=transport) as client:
        for call in (
            lambda: list(client.read_content(requests.DownloadContent(video_id="v"))),
            lambda: client.fetch("http://host/x"),
            lambda: client.send(requests.RetrieveVideo(video_id="v")),
        ):
            with pytest.raises(SoraError):
                call()

    async def read() -> None:
        async with AsyncSoraClient(config, once, transport=transport) as client:
            _ = [chunk async for chunk in client.read_content(requests.DownloadContent(video_id="v"))]

    with pytest.raises(SoraError):
        asyncio.run(read())


def test_a_list_whose_next_id_is_endless_is_an_error_of_ours() -> None:
    page = {"data": [{"id": "v", "status": "queued"}], "has_more": True, "last_id": "x" * 70_000}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=page))
    with SoraClient(SoraConfig("http://server"), transport=transport) as client:
        videos = client.list_videos()
        with pytest.raises(SoraError, match="cannot be sent"):
            list(videos)
