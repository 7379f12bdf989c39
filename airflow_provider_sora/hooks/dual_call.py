"""The two forms of a hook's method: ``hook.get_video("id")`` blocks, ``await hook.get_video.aio("id")`` does not.

A method is written once. Its body builds what is to be done, a request or a flow of several, and its decorator says how
that is done: `sends_request`, `lists_videos`, `streams_content`, `runs_flow` or `runs_short_flow`. Signature, types and
docstring of both forms are those of the body, except for what they return.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterator
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, get_args, get_type_hints, overload

from airflow_provider_sora.api.content.reading import Content
from airflow_provider_sora.api.http.steps import Flow, fail
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.api.protocol.requests import DownloadContent, ListVideos, Request
from airflow_provider_sora.exceptions import SoraError
from airflow_provider_sora.hooks.base import SoraBaseHook

ParamsT = ParamSpec("ParamsT")
BuiltT = TypeVar("BuiltT")
ResultT = TypeVar("ResultT")
AsyncResultT = TypeVar("AsyncResultT")
Method = Callable[Concatenate[Any, ParamsT], ResultT]


class BoundMethod(Generic[ParamsT, BuiltT, ResultT, AsyncResultT]):
    """A `DualMethod` of one hook.

    :ivar aio: the form for an event loop
    :ivar build: builds the request, or the flow of several, without sending anything
    """

    def __init__(self, method: DualMethod[ParamsT, BuiltT, ResultT, AsyncResultT], hook: object) -> None:
        self._blocking: Callable[ParamsT, ResultT] = method.blocking.__get__(hook)
        self.aio: Callable[ParamsT, AsyncResultT] = method.aio.__get__(hook)
        self.build: Callable[ParamsT, BuiltT] = method.build.__get__(hook)
        functools.update_wrapper(self, self._blocking, updated=())

    def __call__(self, /, *args: ParamsT.args, **kwargs: ParamsT.kwargs) -> ResultT:
        return self._blocking(*args, **kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> Self:
        """With this, `inspect.isroutine` holds and `help()` describes the method instead of this class."""
        return self


class DualMethod(Generic[ParamsT, BuiltT, ResultT, AsyncResultT]):
    """A method in two forms, as a descriptor.

    :param build: the body, which also gives signature and docstring
    :param returns: what the blocking form returns, and what the form for an event loop does
    """

    def __init__(
        self,
        build: Method[ParamsT, BuiltT],
        blocking: Method[ParamsT, ResultT],
        aio: Method[ParamsT, AsyncResultT],
        returns: tuple[Any, Any],
    ) -> None:
        self.build: Any = build
        self.blocking: Any = _described_by(build, blocking, returns[0])
        self.aio: Any = _described_by(build, aio, returns[1])
        functools.update_wrapper(self, self.blocking, updated=())

    @overload
    def __get__(self, hook: None, owner: type) -> Self: ...

    @overload
    def __get__(
        self, hook: SoraBaseHook, owner: type | None = None
    ) -> BoundMethod[ParamsT, BuiltT, ResultT, AsyncResultT]: ...

    def __get__(
        self, hook: SoraBaseHook | None, owner: type | None = None
    ) -> Self | BoundMethod[ParamsT, BuiltT, ResultT, AsyncResultT]:
        return self if hook is None else BoundMethod(self, hook)

    def __call__(self, hook: SoraBaseHook, /, *args: ParamsT.args, **kwargs: ParamsT.kwargs) -> ResultT:
        """The blocking form, called on the class as any method can be."""
        return self.blocking(hook, *args, **kwargs)  # type: ignore[no-any-return]


def _described_by(build: Callable[..., Any], form: Callable[..., Any], returns: Any) -> Callable[..., Any]:
    form = functools.wraps(build)(form)
    form.__annotations__ = {**build.__annotations__, "return": returns}
    form.__signature__ = inspect.signature(build).replace(return_annotation=returns)  # type: ignore[attr-defined]
    return form


def sends_request(
    build: Method[ParamsT, Request[ResultT]],
) -> DualMethod[ParamsT, Request[ResultT], ResultT, Coroutine[Any, Any, ResultT]]:
    """Send the request; the method returns what the response to it means."""

    def blocking(hook: SoraBaseHook, /, *args: ParamsT.args, **kwargs: ParamsT.kwargs) -> ResultT:
        return hook.get_conn().send(build(hook, *args, **kwargs))

    async def aio(hook: SoraBaseHook, /, *args: ParamsT.args, **kwargs: ParamsT.kwargs) -> ResultT:
        request = await asyncio.to_thread(build, hook, *args, **kwargs)  # it may read a file or a URL
        return await (await hook.shared_async_conn()).send(request)

    result = get_type_hints(get_type_hints(build)["return"].parse)["return"]
    return DualMethod(build, blocking, aio, (result, result))


def lists_videos(
    build: Method[ParamsT, ListVideos],
) -> DualMethod[ParamsT, ListVideos, Iterator[Video], AsyncIterator[Video]]:
    """Read the list page by page, from the page that the request asks for."""

    def blocking(hook: SoraBaseHook, /, *args: ParamsT.args, **kwargs: ParamsT.kwargs) -> Iterator[Video]:
        return hook.get_conn().list_videos(build(hook, *args, **kwargs))

    async def aio(hook: SoraBaseHook, /, *args: ParamsT.args, **kwargs: ParamsT.kwargs) -> AsyncIterator[Video]:
        request = build(hook, *args, **kwargs)
        async for video in (await hook.shared_async_conn()).list_videos(request):
            yield video

    return DualMethod(build, blocking, aio, (Iterator[Video], AsyncIterator[Video]))


def streams_content(
    build: Method[ParamsT, DownloadContent],
) -> DualMethod[ParamsT, DownloadContent, Generator[bytes, None, Content], AsyncGenerator[bytes, None]]:
    """Read content as it comes."""

    def blocking(
        hook: SoraBaseHook, /, *args: ParamsT.args, **kwargs: ParamsT.kwargs
    ) -> Generator[bytes, None, Content]:
        return hook.get_conn().read_content(build(hook, *args, **kwargs))

    async def aio(hook: SoraBaseHook, /, *args: ParamsT.args, **kwargs: ParamsT.kwargs) -> AsyncGenerator[bytes, None]:
        request = build(hook, *args, **kwargs)
        async for chunk in (await hook.shared_async_conn()).read_content(request):
            yield chunk

    return DualMethod(build, blocking, aio, (Generator[bytes, None, Content], AsyncGenerator[bytes, None]))


def runs_flow(
    build: Method[ParamsT, Flow[ResultT]],
) -> DualMethod[ParamsT, Flow[ResultT], ResultT, Coroutine[Any, Any, ResultT]]:
    """Run the flow on the hook's own client."""

    def blocking(hook: SoraBaseHook, /, *args: ParamsT.args, **kwargs: ParamsT.kwargs) -> ResultT:
        return hook.get_conn().run(build(hook, *args, **kwargs))

    async def aio(hook: SoraBaseHook, /, *args: ParamsT.args, **kwargs: ParamsT.kwargs) -> ResultT:
        return await (await hook.shared_async_conn()).run(build(hook, *args, **kwargs))

    result = _result_of_flow(build)
    return DualMethod(build, blocking, aio, (result, result))


def runs_short_flow(
    build: Method[ParamsT, Flow[ResultT]],
) -> DualMethod[ParamsT, Flow[ResultT], ResultT, Coroutine[Any, Any, ResultT]]:
    """Run the flow on a client of its own with short timeouts; an unusable connection is an error of its first step."""

    def blocking(hook: SoraBaseHook, /, *args: ParamsT.args, **kwargs: ParamsT.kwargs) -> ResultT:
        flow = build(hook, *args, **kwargs)
        try:
            client = hook.short_lived_conn()
        except SoraError as error:
            return fail(flow, error)
        with client:
            return client.run(flow)

    async def aio(hook: SoraBaseHook, /, *args: ParamsT.args, **kwargs: ParamsT.kwargs) -> ResultT:
        flow = build(hook, *args, **kwargs)
        try:
            client = await hook.short_lived_async_conn()
        except SoraError as error:
            return fail(flow, error)
        async with client:
            return await client.run(flow)

    result = _result_of_flow(build)
    return DualMethod(build, blocking, aio, (result, result))


def _result_of_flow(build: Callable[..., Flow[Any]]) -> Any:
    return get_args(get_type_hints(build)["return"])[2]
