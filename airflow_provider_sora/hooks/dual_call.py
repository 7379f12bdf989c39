"""One definition for both forms of a hook's method: called, it blocks; its `aio` is awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar

from airflow_provider_sora.api.protocol.requests import Request

if TYPE_CHECKING:
    from airflow_provider_sora.hooks.sora import SoraHook

ParamsT = ParamSpec("ParamsT")
ResponseT = TypeVar("ResponseT")
Build = Callable[Concatenate[Any, ParamsT], Request[ResponseT]]


class BoundCall(Generic[ParamsT, ResponseT]):
    """A method of one hook: ``hook.get_video("id")``, or ``await hook.get_video.aio("id")``."""

    def __init__(self, hook: SoraHook, build: Build[ParamsT, ResponseT]) -> None:
        self._hook = hook
        self.request = build
        self.__doc__ = build.__doc__

    def __call__(self, *args: ParamsT.args, **kwargs: ParamsT.kwargs) -> ResponseT:
        """Send the request and wait for its answer."""
        return self._hook.get_conn().send(self.request(self._hook, *args, **kwargs))

    async def aio(self, *args: ParamsT.args, **kwargs: ParamsT.kwargs) -> ResponseT:
        """The same without blocking the event loop, where reading a file or a URL is done in a thread."""
        request = await asyncio.to_thread(self.request, self._hook, *args, **kwargs)
        return await (await self._hook.shared_async_conn()).send(request)


class api_call(Generic[ParamsT, ResponseT]):  # noqa: N801 - a decorator
    """Makes a method that builds a request into one that also sends it."""

    def __init__(self, build: Build[ParamsT, ResponseT]) -> None:
        self._build = build
        self.__doc__ = build.__doc__

    def __get__(self, hook: SoraHook, owner: type | None = None) -> BoundCall[ParamsT, ResponseT]:
        return BoundCall(hook, self._build)
