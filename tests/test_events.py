from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_sora import exceptions
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.events import VERSION, VideoEvent
from airflow_provider_sora.manifest import VideoManifest
from tests.golden import golden, versions

VIDEO = Video.model_validate(
    {
        "id": "video_1",
        "status": "completed",
        "model": "m",
        "seconds": 4,
        "size": "640x360",
        "created_at": 1,
        "completed_at": 2,
        "expires_at": 3,
        "prompt": "secret plans",
        "remixed_from_video_id": "video_0",
        "url": "https://x",
    }
)
MANIFEST = VideoManifest.of(VIDEO, "sora_a")


def test_a_manifest_is_small_and_without_the_prompt() -> None:
    assert MANIFEST.to_json() == {
        "id": "video_1",
        "status": "completed",
        "conn_id": "sora_a",
        "model": "m",
        "seconds": "4",
        "size": "640x360",
        "created_at": 1,
        "completed_at": 2,
        "expires_at": 3,
        "remixed_from_video_id": "video_0",
    }


def test_a_manifest_survives_xcom() -> None:
    assert VideoManifest.parse(json.loads(json.dumps(MANIFEST.to_json()))) == MANIFEST


def test_a_value_that_is_no_manifest_is_refused_with_the_way_out() -> None:
    with pytest.raises(exceptions.SoraConfigError, match=r"status: Field required.*Pass what a create task returned"):
        VideoManifest.parse({"id": "video_1"})


@pytest.mark.parametrize(
    "error",
    [
        exceptions.SoraVideoFailedError("video_1", "oom", "out of memory", status="cancelled"),
        exceptions.SoraVideoRejectedError("video_1", "moderation_blocked", "no"),
        exceptions.SoraVideoGoneError("video_1", last_status="in_progress"),
        exceptions.SoraWaitTimeoutError("video_1", "the timeout has passed", last_status="queued"),
        exceptions.SoraWaitError("video_1", "the key was refused", last_status="never", retryable=False),
    ],
)
def test_an_error_comes_out_of_the_triggerer_as_it_went_in(error: exceptions.SoraError) -> None:
    event = VideoEvent.parse(json.loads(json.dumps(VideoEvent.of_error("video_1", error).to_json())))
    with pytest.raises(type(error)) as caught:
        event.manifest()
    assert type(caught.value) is type(error)
    assert (str(caught.value), caught.value.retryable) == (str(error), error.retryable)


def test_any_other_error_ends_the_wait_with_the_id() -> None:
    event = VideoEvent.of_error("video_1", exceptions.SoraConfigError("no host"))
    with pytest.raises(exceptions.SoraWaitError, match=r"video_1 .*no host") as caught:
        event.manifest()
    assert not caught.value.retryable


def test_a_completed_video_comes_out_as_its_manifest() -> None:
    assert VideoEvent.parse(VideoEvent.of(MANIFEST).to_json()).manifest() == MANIFEST


# What each event of `tests/golden` stands for, whatever the version that wrote it.
MEANINGS: dict[str, tuple[type[exceptions.SoraError] | None, str, bool]] = {
    "completed": (None, "", True),
    "failed": (exceptions.SoraVideoFailedError, "[oom]: out of memory", True),
    "rejected": (exceptions.SoraVideoRejectedError, "[moderation_blocked]: not this", False),
    "refused": (exceptions.SoraVideoRejectedError, "[moderation_blocked]: not this", False),
    "gone": (exceptions.SoraVideoGoneError, "last seen in_progress", True),
    "timeout": (exceptions.SoraWaitTimeoutError, "the timeout has passed", True),
    "stopped": (exceptions.SoraWaitError, "10 consecutive status checks failed", False),
}


@pytest.mark.parametrize("version", versions("event"))
def test_an_event_of_each_version_is_read(version: int) -> None:
    events = golden("event", version)
    assert len(events) == 6
    for name, payload in events.items():
        event = VideoEvent.parse(payload)
        error_type, words, retryable = MEANINGS[name]
        if error_type is None:
            assert (event.manifest().id, event.step, event.manifest().size) == ("video_1", 1, "640x360")
            continue
        with pytest.raises(error_type) as caught:
            event.manifest()
        assert type(caught.value) is error_type
        assert words in str(caught.value)
        assert caught.value.retryable is retryable


def test_events_are_written_as_the_newest_version() -> None:
    assert versions("event")[-1] == VERSION
    for payload in golden("event", VERSION).values():
        assert VideoEvent.parse(payload).to_json() == payload


def test_an_event_of_a_newer_version_says_what_to_do_and_a_retry_reconnects() -> None:
    payload = {**golden("event", VERSION)["completed"], "version": VERSION + 1, "new": 1}
    words = rf"a video event of version {VERSION + 1}, .* reads up to version {VERSION}\. Install one version"
    with pytest.raises(exceptions.SoraResponseError, match=words) as caught:
        VideoEvent.parse(payload)
    assert caught.value.retryable


@pytest.mark.parametrize(
    "payload",
    [
        None,
        "completed",
        {},
        {"outcome": "completed", "video_id": "v"},
        {"outcome": "great", "video_id": "v"},
        {"outcome": "failed", "video_id": "v", "video": MANIFEST.to_json()},
        {"outcome": "failed", "video_id": "v", "surprise": 1},
        {"outcome": "refused", "video_id": "v", "version": 2},
        {"outcome": "failed", "video_id": "v", "version": 0},
        {"outcome": "failed", "video_id": "v", "version": "new"},
        {"outcome": "failed", "video_id": "v", "version": [1]},
    ],
)
def test_a_value_that_is_no_event_is_an_error_and_never_success(payload: Any) -> None:
    with pytest.raises(exceptions.SoraResponseError, match="no video event"):
        VideoEvent.parse(payload)
