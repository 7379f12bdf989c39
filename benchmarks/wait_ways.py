"""The ways to wait for many jobs in one event loop; what a way needs is imported only where it is measured."""

from __future__ import annotations

import asyncio
import inspect
import json
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from benchmarks.ways import TOKEN

CONN_ID = "sora_default"


@dataclass(frozen=True)
class Place:
    """The server that runs the jobs.

    :param url: up to the port
    :param trusted: the file of its certificate
    :param interval: seconds between two looks at a job
    :param errors: what went wrong, by name
    """

    url: str
    trusted: str
    interval: float
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def base_url(self) -> str:
        """Up to and including the version."""
        return f"{self.url}/v1"

    def context(self) -> ssl.SSLContext:
        """For clients that check the server's certificate, as one has to."""
        return ssl.create_default_context(cafile=self.trusted)


Wait = Callable[[], Awaitable[bool]]  # whether there is a video
Build = Callable[[str, float, float], Wait]  # from a job, when it was submitted, and the deadline
Look = Callable[[str], Awaitable[bool]]  # whether a job has ended


@asynccontextmanager
async def ours(place: Place) -> AsyncIterator[Build]:
    """This provider's trigger, one for each job, driven as the triggerer does."""
    from airflow_provider_sora.triggers.sora import SoraVideoTrigger

    # Earlier versions did not take when a job was submitted: they can be measured too.
    knows_since = "since" in inspect.signature(SoraVideoTrigger).parameters

    def build(video: str, since: float, deadline: float) -> Wait:
        more: dict[str, Any] = {"since": since} if knows_since else {}
        trigger = SoraVideoTrigger(
            sora_conn_id=CONN_ID, video_id=video, deadline=deadline, poll_interval=place.interval, **more
        )
        return partial(_drive, trigger, place.errors)

    yield build


async def _drive(trigger: Any, errors: Counter[str]) -> bool:
    outcome = message = "nothing"
    async for event in trigger.run():
        outcome, message = event.payload["outcome"], event.payload["message"]
        break
    if outcome != "completed":
        errors[f"{outcome}: {message}"[:200]] += 1
    return bool(outcome == "completed")


@asynccontextmanager
async def httpx_shared(place: Place) -> AsyncIterator[Build]:
    """What one writes by hand: every wait polls for itself, through one client with its default limits."""
    import httpx

    async with httpx.AsyncClient(
        base_url=place.base_url, headers={"Authorization": f"Bearer {TOKEN}"}, verify=place.context()
    ) as client:

        async def look(video: str) -> bool:
            answer = await client.get(f"/videos/{video}")
            return bool(answer.raise_for_status().json()["status"] == "completed")

        yield partial(_polling, place, look)


@asynccontextmanager
async def openai_async(place: Place) -> AsyncIterator[Build]:
    """The same with the official client, which has wider limits and tries again twice."""
    import openai

    http = openai.DefaultAsyncHttpxClient(verify=place.context())
    async with openai.AsyncOpenAI(api_key=TOKEN, base_url=place.base_url, http_client=http) as client:

        async def look(video: str) -> bool:
            return (await client.videos.retrieve(video)).status == "completed"

        yield partial(_polling, place, look)


@asynccontextmanager
async def blocking(place: Place) -> AsyncIterator[Build]:
    """As in Airflow's own OpenAI provider: each wait has a blocking client, and calls it on the event loop.

    There each client even reads the CA bundle anew; here they share what was read, which is in their favour.
    """
    import openai

    context = place.context()

    def build(video: str, since: float, deadline: float) -> Wait:
        client: list[openai.OpenAI] = []  # made with the first look, as the hook does

        async def look(video: str) -> bool:
            if not client:
                http = openai.DefaultHttpxClient(verify=context)
                client.append(openai.OpenAI(api_key=TOKEN, base_url=place.base_url, http_client=http))
            return client[0].videos.retrieve(video).status == "completed"

        return _polling(place, look, video, since, deadline)

    yield build


def _polling(place: Place, look: Look, video: str, _since: float, _deadline: float) -> Wait:
    """Look at once, then every interval; a look that fails is made up for by the next."""

    async def wait() -> bool:
        while True:
            try:
                if await look(video):
                    return True
            except Exception as error:  # noqa: BLE001 - which, is what is measured
                place.errors[type(error).__name__] += 1
            await asyncio.sleep(place.interval)

    return wait


WAIT_WAYS: dict[str, Callable[[Place], AbstractAsyncContextManager[Build]]] = {
    "ours": ours,
    "httpx": httpx_shared,
    "openai": openai_async,
    "blocking": blocking,
}


def connection(place: Place) -> str:
    """The Airflow connection of the server, as an environment variable holds it."""
    extra = {"verify": place.trusted}
    return json.dumps({"conn_type": "sora", "host": place.base_url, "password": TOKEN, "extra": extra})
