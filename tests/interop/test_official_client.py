"""The official client drives the emulator through every method, and the emulator's answers are its types."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import openai
import pytest
from openai.types import Video, VideoDeleteResponse
from openai.types.video_create_character_response import VideoCreateCharacterResponse

from airflow_provider_sora.emulator import Emulator

MP4 = ("clip.mp4", b"\x00\x00\x00\x20ftypisom" + bytes(64), "video/mp4")
SMALL: Any = {"extra_body": {"size": "64x64"}}


def test_every_method_works(emulator: Emulator) -> None:
    client = openai.OpenAI(base_url=emulator.base_url, api_key=emulator.api_key, max_retries=0)
    video = client.videos.create(prompt="a cat", seconds="4", **SMALL)
    emulator.clock.advance(60)
    assert client.videos.poll(video.id).status == "completed"
    extended = client.videos.extend(video=MP4, prompt="it rains", seconds="8")
    edited = client.videos.edit(video=MP4, prompt="at night")
    remixed = client.videos.remix(video.id, prompt="a dog")
    assert remixed.remixed_from_video_id == video.id
    character = client.videos.create_character(name="Tom", video=MP4)
    assert client.videos.get_character(str(character.id)).name == "Tom"
    assert {found.id for found in client.videos.list(limit=2)} == {video.id, extended.id, edited.id, remixed.id}
    assert client.videos.download_content(video.id).read()[4:8] == b"ftyp"
    assert client.videos.delete(video.id).deleted is True


def test_every_method_works_on_an_event_loop(emulator: Emulator) -> None:
    async def use() -> None:
        async with openai.AsyncOpenAI(base_url=emulator.base_url, api_key=emulator.api_key, max_retries=0) as client:
            video = await client.videos.create(prompt="a cat", seconds="4", **SMALL)
            emulator.clock.advance(60)
            assert (await client.videos.poll(video.id)).status == "completed"
            made = [
                video,
                await client.videos.extend(video=MP4, prompt="it rains", seconds="8"),
                await client.videos.edit(video=MP4, prompt="at night"),
                await client.videos.remix(video.id, prompt="a dog"),
            ]
            character = await client.videos.create_character(name="Tom", video=MP4)
            assert (await client.videos.get_character(str(character.id))).name == "Tom"
            assert {found.id async for found in client.videos.list(limit=2)} == {one.id for one in made}
            assert (await client.videos.download_content(video.id)).content[4:8] == b"ftyp"
            assert (await client.videos.delete(video.id)).deleted is True

    asyncio.run(use())


def get(emulator: Emulator, method: str, path: str, **options: Any) -> Any:
    headers = {"Authorization": f"Bearer {emulator.api_key}"}
    return httpx.request(method, f"{emulator.base_url}{path}", headers=headers, **options).raise_for_status().json()


@pytest.mark.parametrize("prompt", ["a cat", "[emulator:moderation]", "[emulator:stuck]"])
def test_the_emulators_videos_have_every_field_of_the_official_type_and_no_other(
    emulator: Emulator, prompt: str
) -> None:
    made = get(emulator, "POST", "/videos", json={"prompt": prompt})
    emulator.clock.advance(60)
    for shown in (made, get(emulator, "GET", f"/videos/{made['id']}"), get(emulator, "GET", "/videos")["data"][0]):
        Video.model_validate(shown, strict=True)
        assert set(shown) == set(Video.model_fields)


def test_the_emulators_other_answers_are_the_official_types(emulator: Emulator) -> None:
    character = get(emulator, "POST", "/videos/characters", data={"name": "Tom"}, files={"video": MP4})
    VideoCreateCharacterResponse.model_validate(character, strict=True)
    made = get(emulator, "POST", "/videos", json={"prompt": "a cat"})
    emulator.clock.advance(60)
    page = get(emulator, "GET", "/videos")
    assert set(page) == {"object", "data", "first_id", "last_id", "has_more"}
    VideoDeleteResponse.model_validate(get(emulator, "DELETE", f"/videos/{made['id']}"), strict=True)
