"""The emulator as its users see it: over HTTP, mostly through the official client, which has other authors."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import httpx
import openai
import pytest
from PIL import Image

from airflow_provider_sora.emulator import Clock, Emulator, Fault
from airflow_provider_sora.emulator.__main__ import parse


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulator whose clock stands still."""
    with Emulator(clock=Clock(running=False)) as server:
        yield server


@pytest.fixture
def official(emulator: Emulator) -> openai.OpenAI:
    return openai.OpenAI(base_url=emulator.base_url, api_key=emulator.api_key, max_retries=0)


def create(client: openai.OpenAI, **fields: Any) -> Any:
    return client.videos.create(**{"prompt": "a cat", "seconds": "4", "size": "1280x720", **fields})


def test_the_official_client_creates_and_downloads_a_video(emulator: Emulator, official: openai.OpenAI) -> None:
    video = create(official, extra_body={"size": "320x180"})
    assert (video.status, video.progress, video.seconds) == ("queued", 0, "4")
    emulator.clock.advance(4)
    video = official.videos.retrieve(video.id)
    assert (video.status, video.progress) == ("in_progress", 50)
    emulator.clock.advance(3)
    video = official.videos.retrieve(video.id)
    assert (video.status, video.progress, video.completed_at) == ("completed", 100, int(video.created_at + 7))

    with av.open(io.BytesIO(official.videos.download_content(video.id).read()), "r") as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(stream)]
    assert (stream.width, stream.height, stream.codec_context.name) == (320, 180, "h264")
    assert len(frames) / float(stream.average_rate or 1) == 4.0
    assert (frames[0] != frames[48]).any()

    thumbnail = Image.open(io.BytesIO(official.videos.download_content(video.id, variant="thumbnail").read()))
    sheet = Image.open(io.BytesIO(official.videos.download_content(video.id, variant="spritesheet").read()))
    assert (thumbnail.format, thumbnail.size) == ("WEBP", (320, 180))
    assert (sheet.format, sheet.size) == ("JPEG", (320, 135))


def test_the_official_client_lists_and_deletes(emulator: Emulator, official: openai.OpenAI) -> None:
    created = [create(official, prompt=f"cat {number}").id for number in range(5)]
    assert [video.id for video in official.videos.list(limit=2)] == created[::-1]
    assert [video.id for video in official.videos.list(limit=2, order="asc")] == created
    with pytest.raises(openai.ConflictError):
        official.videos.delete(created[0])
    emulator.clock.advance(60)
    assert official.videos.delete(created[0]).deleted is True
    with pytest.raises(openai.NotFoundError):
        official.videos.retrieve(created[0])


def test_the_official_async_client_works_too(emulator: Emulator) -> None:
    async def use() -> str:
        async with openai.AsyncOpenAI(base_url=emulator.base_url, api_key=emulator.api_key) as client:
            video = await client.videos.create(prompt="a cat")
            emulator.clock.advance(60)
            return (await client.videos.retrieve(video.id)).status

    assert asyncio.run(use()) == "completed"


def test_an_image_may_be_uploaded(emulator: Emulator, official: openai.OpenAI) -> None:
    video = create(official, input_reference=("cat.png", b"\x89PNG\r\n\x1a\n", "image/png"))
    job = emulator.jobs.get(video.id)
    assert job is not None
    assert job.fields["input_reference"] == ("image/png", 8)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"api-key": "wrong"}])
def test_every_route_needs_the_key(emulator: Emulator, headers: dict[str, str]) -> None:
    for path in ("/v1/videos", "/v1/videos/x", "/v1/videos/x/content", "/_emulator/state"):
        response = httpx.get(f"http://127.0.0.1:{emulator.port}{path}", headers=headers)
        assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_api_key")


def test_without_a_key_requests_need_none() -> None:
    with Emulator(api_key=None) as emulator:
        assert httpx.get(f"{emulator.base_url}/videos").json()["data"] == []


@pytest.mark.parametrize(
    "fields", [{"prompt": ""}, {"size": "1x1"}, {"size": "big"}, {"seconds": "0"}, {"seconds": "x"}]
)
def test_an_invalid_request_creates_no_job(emulator: Emulator, official: openai.OpenAI, fields: dict[str, str]) -> None:
    with pytest.raises(openai.BadRequestError):
        create(official, extra_body=fields)
    assert emulator.creates == 0


def test_a_body_that_is_not_an_object_is_refused(emulator: Emulator) -> None:
    response = httpx.post(f"{emulator.base_url}/videos", json=[1], headers={"api-key": "sora-emulator"})
    assert response.status_code == 400


@pytest.mark.parametrize(
    ("directive", "code"), [("[emulator:fail]", "server_error"), ("[emulator:moderation]", "moderation_blocked")]
)
def test_a_prompt_can_request_a_failure(emulator: Emulator, official: openai.OpenAI, directive: str, code: str) -> None:
    video = create(official, prompt=f"a cat {directive}")
    assert video.error is None
    emulator.clock.advance(60)
    video = official.videos.retrieve(video.id)
    assert video.status == "failed"
    assert video.error is not None
    assert video.error.code == code
    with pytest.raises(openai.NotFoundError):
        official.videos.download_content(video.id)


def test_a_prompt_can_request_a_job_that_never_ends(emulator: Emulator, official: openai.OpenAI) -> None:
    video = create(official, prompt="[emulator:stuck]")
    emulator.clock.advance(1e6)
    assert official.videos.retrieve(video.id).status == "in_progress"


def test_content_is_refused_before_the_end_and_after_expiry(emulator: Emulator, official: openai.OpenAI) -> None:
    video = create(official)
    with pytest.raises(openai.NotFoundError, match="in-progress"):
        official.videos.download_content(video.id)
    emulator.clock.advance(7 + 3600)
    with pytest.raises(openai.NotFoundError, match="expired"):
        official.videos.download_content(video.id)
    with pytest.raises(openai.BadRequestError):
        official.videos.download_content(video.id, variant="film")  # type: ignore[arg-type]


def test_speed_divides_every_duration() -> None:
    with Emulator(clock=Clock(running=False), speed=7) as emulator:
        job = emulator.jobs.create({"prompt": "a"})
        assert (job.ended_at - job.created_at, round(job.expires_at - job.ended_at)) == (1.0, 514)


def test_a_status_fault_has_a_count_and_a_retry_after(emulator: Emulator, official: openai.OpenAI) -> None:
    emulator.faults.add(Fault("create", "status", status=429, retry_after=7, times=2, skip=1))
    create(official)
    for _ in range(2):
        with pytest.raises(openai.RateLimitError) as caught:
            create(official)
        assert caught.value.response.headers["retry-after"] == "7"
    create(official)
    assert emulator.creates == 2
    assert emulator.faults.to_json() == []


@pytest.mark.parametrize(("accept", "creates"), [(True, 1), (False, 0)])
def test_a_connection_can_be_dropped_with_and_without_accepting_the_job(
    emulator: Emulator, official: openai.OpenAI, accept: bool, creates: int
) -> None:
    emulator.faults.add(Fault("create", "drop", accept=accept))
    with pytest.raises(openai.APIConnectionError):
        create(official)
    assert emulator.creates == creates


def test_content_can_be_truncated_of_the_wrong_type_or_expired(emulator: Emulator, official: openai.OpenAI) -> None:
    emulator.faults.add(Fault("create", "expire"))
    expired, kept = create(official, extra_body={"size": "64x64"}), create(official, extra_body={"size": "64x64"})
    emulator.clock.advance(60)
    with pytest.raises(openai.NotFoundError, match="expired"):
        official.videos.download_content(expired.id)
    emulator.faults.add(Fault("content", "wrong_type"))
    assert official.videos.download_content(kept.id).read() == b'{"status":"pending"}'
    emulator.faults.add(Fault("content", "truncate", fraction=0.25))
    with pytest.raises(openai.APIConnectionError):
        official.videos.download_content(kept.id)
    emulator.faults.add(Fault("retrieve", "slow", seconds=0.01))
    assert official.videos.retrieve(kept.id).id == kept.id


def test_an_unknown_fault_is_an_error() -> None:
    with pytest.raises(ValueError, match="effect is 'explode'; it has to be one of status, drop"):
        Fault("create", "explode")  # type: ignore[arg-type]


def test_another_process_can_observe_and_control_it(emulator: Emulator, official: openai.OpenAI) -> None:
    control = httpx.Client(
        base_url=f"http://127.0.0.1:{emulator.port}/_emulator", headers={"Authorization": f"Bearer {emulator.api_key}"}
    )
    control.post("/faults", json={"route": "create", "effect": "status", "status": 500}).raise_for_status()
    with pytest.raises(openai.InternalServerError):
        create(official)
    video = create(official)
    control.post("/clock", json={"advance": 60})
    state = control.get("/state").json()
    assert state["creates"] == 1
    assert [(job["id"], job["status"]) for job in state["jobs"]] == [(video.id, "completed")]
    assert [(entry["route"], entry["status"]) for entry in state["requests"]] == [("create", 500), ("create", 200)]
    emulator.faults.add(Fault("create", "drop"))
    assert control.delete("/faults").json() == []
    assert str(emulator.api_key) not in str(state)


def test_the_fixture_sets_the_connection(sora_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider_sora.hooks.sora import SoraHook

    assert SoraHook().get_conn().config.base_url == sora_emulator.base_url


def test_the_command_line_serves_until_it_is_terminated() -> None:
    command = [sys.executable, "-u", "-m", "airflow_provider_sora.emulator", "--port", "0", "--api-key", ""]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        base_url = process.stdout.readline().removeprefix("Videos API at ").strip()
        assert "AIRFLOW_CONN_SORA_DEFAULT" in process.stdout.readline()
        assert httpx.get(f"{base_url}/videos").status_code == 200
        process.terminate()
    assert process.returncode in (0, -15)


def test_every_option_of_the_command_line_has_a_default() -> None:
    options = vars(parse([]))
    assert options["port"] == 8787
    assert None not in options.values()


def test_the_package_exports_its_public_names() -> None:
    from airflow_provider_sora import emulator as package

    assert all(getattr(package, name) for name in package.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing


def test_the_emulator_leaves_no_files_behind(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    job = emulator.jobs.create({"prompt": "a prompt that is in no cache", "size": "64x64", "seconds": 1})
    emulator.clock.advance(60)
    httpx.get(f"{emulator.base_url}/videos/{job.id}/content", headers={"api-key": "sora-emulator"}).raise_for_status()
    assert list(tmp_path.iterdir()) == []
