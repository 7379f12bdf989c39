"""The connection behind a hook: its configuration, its clients, its test."""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import Any, Self

from airflow_provider_sora.api.client import AsyncSoraClient, SoraClient
from airflow_provider_sora.api.decisions.retry import RequestRetryPolicy
from airflow_provider_sora.api.http.config import SoraConfig
from airflow_provider_sora.api.protocol.requests import ListVideos
from airflow_provider_sora.compat import BaseHook, get_async_connection
from airflow_provider_sora.exceptions import SoraError
from airflow_provider_sora.hooks.connection import explain, read_config, with_short_timeouts

DEFAULT_CONN_ID = "sora_default"
_SEND_ONCE = RequestRetryPolicy(attempts=1)


class SoraBaseHook(BaseHook):
    """An Airflow connection of type ``sora``, and clients for the server behind it.

    :param sora_conn_id: the connection
    """

    conn_name_attr = "sora_conn_id"
    default_conn_name = DEFAULT_CONN_ID
    conn_type = "sora"
    hook_name = "Sora (Videos API)"

    def __init__(self, sora_conn_id: str = DEFAULT_CONN_ID, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sora_conn_id = sora_conn_id
        self._async_client: AsyncSoraClient | None = None

    def get_config(self) -> SoraConfig:
        """The configuration, from the connection as it is now.

        :raises SoraConfigError: a field is invalid
        """
        connection = self.get_connection(self.sora_conn_id)
        return read_config(connection, connection.extra_dejson)

    async def get_async_config(self) -> SoraConfig:
        """`get_config` for an event loop."""
        return read_config(*await get_async_connection(self, self.sora_conn_id))

    def get_conn(self) -> SoraClient:
        """The blocking client; one per hook."""
        return self._client

    @cached_property
    def _client(self) -> SoraClient:
        return SoraClient(self.get_config())

    async def get_async_conn(self) -> AsyncSoraClient:
        """A new client for the running event loop; the caller closes it."""
        return await AsyncSoraClient.create(await self.get_async_config())

    async def shared_async_conn(self) -> AsyncSoraClient:
        """The hook's own client for the running event loop; `aclose` closes it."""
        if self._async_client is None:
            self._async_client = await self.get_async_conn()
        return self._async_client

    def short_lived_conn(self) -> SoraClient:
        """A new client that sends each request once, with short timeouts; the caller closes it."""
        return SoraClient(with_short_timeouts(self.get_config()), _SEND_ONCE)

    async def short_lived_async_conn(self) -> AsyncSoraClient:
        """`short_lived_conn` for the running event loop."""
        return await AsyncSoraClient.create(with_short_timeouts(await self.get_async_config()), _SEND_ONCE)

    def close(self) -> None:
        """Close the connections of the blocking client."""
        if "_client" in self.__dict__:
            self.__dict__.pop("_client").close()

    async def aclose(self) -> None:
        """Close the connections of both clients."""
        client, self._async_client = self._async_client, None
        if client is not None:
            await client.close()
        await asyncio.to_thread(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def test_connection(self) -> tuple[bool, str]:
        """Request the server's list once; whether that worked, and a message that names the cause if it did not."""
        try:
            config = self.get_config()
            with SoraClient(config, _SEND_ONCE) as client:
                client.send(ListVideos(limit=1))
        except SoraError as error:
            return False, explain(error)
        return True, f"The server at {config.base_url} lists its videos."
