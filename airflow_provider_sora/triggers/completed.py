"""The event trigger that reports completed videos: for Airflow's asset watchers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from typing import Any

from airflow.triggers.base import TriggerEvent

from airflow_provider_sora import masking
from airflow_provider_sora.api.poller.completion_feed import CompletionFeed
from airflow_provider_sora.compat import BaseEventTrigger
from airflow_provider_sora.exceptions import SoraConfigError, SoraError
from airflow_provider_sora.hooks.sora import DEFAULT_CONN_ID, SoraHook
from airflow_provider_sora.manifest import VideoManifest
from airflow_provider_sora.triggers.versions import VERSION, mismatch

log = masking.logger(__name__)


class SoraVideoCompletedTrigger(BaseEventTrigger):
    """Yields an event for each video that is completed on a server from now on; its payload is the manifest.

    For an `AssetWatcher` (Airflow 3). Watchers of one connection share one reader of the list (Airflow 3.3). A video
    that is completed while no triggerer runs is not reported.

    :param sora_conn_id: the connection of the server, which has to list its videos
    :param poll_interval: seconds between two requests of the list
    :param model: report only videos of this model
    :param size: report only videos of this size
    :param version: of these arguments
    :param unknown: arguments of another version; with any of them the trigger ends with an error that says so
    """

    def __init__(
        self,
        *,
        sora_conn_id: str = DEFAULT_CONN_ID,
        poll_interval: float = 30.0,
        model: str | None = None,
        size: str | None = None,
        version: int = VERSION,
        **unknown: Any,
    ) -> None:
        super().__init__()
        self.version = version
        self.unknown = unknown
        self.sora_conn_id = sora_conn_id
        self.poll_interval = poll_interval
        self.model = model
        self.size = size

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "version": self.version,
                "sora_conn_id": self.sora_conn_id,
                "poll_interval": self.poll_interval,
                "model": self.model,
                "size": self.size,
                **self.unknown,
            },
        )

    def shared_stream_key(self) -> Hashable | None:
        """Watchers with the same connection and interval share a reader."""
        return (type(self).__qualname__, self.sora_conn_id, self.poll_interval)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """The manifests of videos as they are completed, without end. A poll that fails is repeated."""
        conn_id, interval = kwargs["sora_conn_id"], kwargs["poll_interval"]
        feed = CompletionFeed()
        async with SoraHook(conn_id) as hook:
            client = await hook.shared_async_conn()
            while True:
                try:
                    async for video in feed.poll(client):
                        yield VideoManifest.of(video, conn_id).to_json()
                except SoraError as error:
                    if not error.retryable:
                        raise
                    log.warning("The list of %s could not be read: %s", conn_id, error)
                await asyncio.sleep(interval)

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """An event for each video that matches this trigger.

        :raises SoraConfigError: another version stored the trigger, and this one does not know what it should match
        """
        wrong = mismatch(self.version, self.unknown)
        if wrong:
            raise SoraConfigError(wrong)
        async for manifest in shared_stream:
            if self.model in (None, manifest["model"]) and self.size in (None, manifest["size"]):
                yield TriggerEvent(manifest)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """The same with a separate reader for each trigger, before Airflow 3.3."""
        async for event in self.filter_shared_stream(self.open_shared_stream(self.serialize()[1])):
            yield event
