"""Both forms of the hook's methods: their signatures, their help, and their types, for which mypy checks this file."""

from __future__ import annotations

import asyncio
import inspect
import json
import pydoc
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from typing import Any, assert_type, get_args, get_type_hints

import pytest

from airflow_provider_sora.api.content.reading import Content
from airflow_provider_sora.api.decisions.polling import Decision, Wait
from airflow_provider_sora.api.protocol.models import Character, Video
from airflow_provider_sora.api.protocol.requests import ListVideos, Request
from airflow_provider_sora.emulator import Emulator
from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.hooks.base import SoraBaseHook
from airflow_provider_sora.hooks.dual_call import DualMethod
from airflow_provider_sora.hooks.sora import SoraHook
from airflow_provider_sora.operators import sora as operators

# What each method returns, and what its form for an event loop does where that is something else.
RETURNS: dict[str, Any] = {
    "create_video": Video,
    "extend_video": Video,
    "edit_video": Video,
    "remix_video": Video,
    "create_character": Character,
    "get_character": Character,
    "get_video": Video,
    "delete_video": bool,
    "list_videos": (Iterator[Video], AsyncIterator[Video]),
    "download_content": (Generator[bytes, None, Content], AsyncGenerator[bytes, None]),
    "wait_for_video": Video,
    "check_video": Decision,
    "cancel_video": str,
}
OPERATORS: dict[Any, str] = {
    operators.SoraCreateVideoOperator: "create_video",
    operators.SoraExtendVideoOperator: "extend_video",
    operators.SoraEditVideoOperator: "edit_video",
    operators.SoraRemixVideoOperator: "remix_video",
    operators.SoraCreateCharacterOperator: "create_character",
}
# A list of prompts makes several requests, each with one of them.
SEVERAL = {("extend_video", "prompt"): ("str | Sequence[str]", "str")}


def written(name: str) -> inspect.Signature:
    """The signature of a method's body."""
    return inspect.signature(getattr(SoraHook, name).build)


def test_every_method_of_the_api_has_both_forms() -> None:
    own = [member for member in dir(SoraHook) if not member.startswith("_") and not hasattr(SoraBaseHook, member)]
    assert {name for name in own if callable(getattr(SoraHook, name))} == set(RETURNS)
    assert all(isinstance(getattr(SoraHook, name), DualMethod) for name in RETURNS)
    assert not [member for member in dir(SoraHook) if member.endswith("_aio")]


@pytest.mark.parametrize("name", RETURNS)
def test_the_signature_is_that_of_the_body_with_the_type_that_is_returned(name: str) -> None:
    returns = RETURNS[name]
    blocking, aio = returns if isinstance(returns, tuple) else (returns, returns)
    on_class = list(written(name).parameters.values())
    on_hook = on_class[1:]
    assert on_class[0].name == "self"
    for form, parameters, result in (
        (getattr(SoraHook, name), on_class, blocking),
        (getattr(SoraHook(), name), on_hook, blocking),
        (getattr(SoraHook, name).aio, on_class, aio),
        (getattr(SoraHook(), name).aio, on_hook, aio),
    ):
        assert inspect.signature(form) == inspect.Signature(parameters, return_annotation=result)
        assert get_type_hints(form)["return"] == result
    assert inspect.signature(getattr(SoraHook(), name).build).parameters.keys() == {each.name for each in on_hook}


@pytest.mark.parametrize("name", RETURNS)
def test_help_describes_every_parameter_of_the_method_and_not_the_mechanism(name: str) -> None:
    for form in (getattr(SoraHook, name), getattr(SoraHook(), name), getattr(SoraHook(), name).aio):
        shown = pydoc.plain(pydoc.render_doc(form))
        missing = [each for each in list(written(name).parameters)[1:] if f":param {each}: " not in shown]
        assert missing == []
        assert f"{name}(" in shown
        assert "Dual" not in shown.partition("\n")[2]


@pytest.mark.parametrize(("operator", "name"), OPERATORS.items(), ids=OPERATORS.values())
def test_the_arguments_of_an_operator_that_reach_the_request_are_those_of_the_hook(operator: Any, name: str) -> None:
    ours = [base for base in operator.__mro__ if base.__module__ == operators.__name__]
    of_operator = {
        each.name: (each.annotation, each.default)
        for base in reversed(ours)
        for each in inspect.signature(base.__init__).parameters.values()
    }
    for each in ("self", "kwargs", "sora_conn_id", "parameters"):
        of_operator.pop(each, None)
    of_hook = {each.name: (each.annotation, each.default) for each in written(name).parameters.values()}
    assert of_hook.pop("fields")  # the operator's `parameters`
    del of_hook["self"]
    different = {key: (of_operator.get(key), of_hook.get(key)) for key in of_operator.keys() | of_hook.keys()}
    different = {key: pair for key, pair in different.items() if pair[0] != pair[1]}
    known = {field: types for (method, field), types in SEVERAL.items() if method == name}
    assert {key: tuple(each and each[0] for each in pair) for key, pair in different.items()} == known


def test_the_types_of_the_blocking_forms_are_those_that_arrive(sora_emulator: Emulator) -> None:
    with SoraHook() as hook:
        video = assert_type(hook.create_video("a cat", seconds=1, size="64x64"), Video)
        request = assert_type(hook.create_video.build("a cat"), Request[Video])
        sora_emulator.clock.advance(60)
        videos = assert_type(hook.list_videos(limit=1), Iterator[Video])
        chunks = assert_type(hook.download_content(video.id), Generator[bytes, None, Content])
        assert [type(each) for each in (video, next(videos), next(chunks))] == [Video, Video, bytes]
        decision = assert_type(hook.check_video(Wait(video.id, 9e9, 1), lambda _: None, 30.0), Decision)
        assert isinstance(decision, get_args(Decision))
        assert assert_type(hook.wait_for_video(Wait(video.id, 9e9, 1), lambda _: None), Video).id == video.id
        assert isinstance(assert_type(hook.cancel_video(video.id), str), str)
        assert assert_type(hook.delete_video(video.id), bool) is True
        assert isinstance(hook.list_videos.build(), ListVideos)
    assert str(request) == "POST /videos"
    assert sora_emulator.creates == 1  # building a request sends nothing


def test_the_types_of_the_forms_for_an_event_loop_are_those_that_arrive(sora_emulator: Emulator) -> None:
    async def use() -> None:
        async with SoraHook() as hook:
            video = assert_type(await hook.create_video.aio("a cat", seconds=1, size="64x64"), Video)
            sora_emulator.clock.advance(60)
            videos = assert_type(hook.list_videos.aio(limit=1), AsyncIterator[Video])
            chunks = assert_type(hook.download_content.aio(video.id), AsyncGenerator[bytes, None])
            assert [type(each) for each in (video, await anext(videos), await anext(chunks))] == [Video, Video, bytes]
            await chunks.aclose()
            decision = assert_type(await hook.check_video.aio(Wait(video.id, 9e9, 1), lambda _: None, 30.0), Decision)
            assert isinstance(decision, get_args(Decision))
            waited = assert_type(await hook.wait_for_video.aio(Wait(video.id, 9e9, 1), lambda _: None), Video)
            assert waited.id == video.id
            assert isinstance(assert_type(await hook.cancel_video.aio(video.id), str), str)
            assert assert_type(await hook.delete_video.aio(video.id), bool) is True

    asyncio.run(use())


def test_a_wrong_argument_is_an_error_for_mypy_and_at_run_time(sora_emulator: Emulator) -> None:
    hook = SoraHook()
    with pytest.raises(SoraConfigError, match="prompt is 7"):
        hook.create_video.build(prompt=7)  # type: ignore[arg-type]
    with pytest.raises(SoraConfigError, match="order is 'up'"):
        hook.list_videos(order="up")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="unexpected keyword argument 'id'"):
        hook.get_video.build(id="video_1")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'prompt'"):
        hook.remix_video.build("video_1")  # type: ignore[call-arg]
    assert sora_emulator.requests == []


def test_a_field_may_have_any_name(sora_emulator: Emulator) -> None:
    fields: dict[str, Any] = {"self": 1, "hook": 2, "args": 3}
    with SoraHook() as hook:
        assert hook.create_video("a cat", **fields).status.is_running
        assert hook.create_video.build("a cat", **fields).fields() == {"prompt": "a cat", **fields}


def test_a_method_can_be_called_on_the_class(sora_emulator: Emulator) -> None:
    with SoraHook() as hook:
        assert SoraHook.create_video(hook, "a cat").id == next(hook.list_videos()).id


def test_an_unusable_connection_is_an_outcome_of_a_cancellation_and_an_error_of_a_check(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SORA_DEFAULT", json.dumps({"conn_type": "sora"}))
    hook, wait = SoraHook(), Wait("video_1", 9e9, 1)
    outcomes = {hook.cancel_video("video_1"), asyncio.run(hook.cancel_video.aio("video_1"))}
    assert [outcome.partition(": no server")[0] for outcome in outcomes] == [
        "video video_1 may still be running: deleting it failed (connection 'sora_default'"
    ]
    with pytest.raises(SoraConfigError, match="no server is set"):
        hook.check_video(wait, lambda _: None, 30.0)
    with pytest.raises(SoraConfigError, match="no server is set"):
        asyncio.run(hook.check_video.aio(wait, lambda _: None, 30.0))
