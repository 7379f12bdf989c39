"""The emulator as a server in a separate thread."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from concurrent.futures import Future

import uvicorn

from airflow_provider_sora.emulator.app import VideosApi
from airflow_provider_sora.emulator.clock import Clock
from airflow_provider_sora.emulator.dialects import DIALECTS
from airflow_provider_sora.emulator.faults import Faults
from airflow_provider_sora.emulator.faulty_responses import ConnectionInScope
from airflow_provider_sora.emulator.jobs import Jobs, Timing

DEFAULT_API_KEY = "sora-emulator"


class Emulator:
    """A Videos API server on loopback; a context manager.

    :param api_key: the key that requests need; None: they need none
    :param clock: the server's clock; a `Clock(running=False)` stands still until it is advanced
    :param timing: how long jobs take
    :param speed: divides all durations
    :param port: 0 for a free one
    :param dialect: the server to imitate: a name from `dialects.DIALECTS`
    """

    def __init__(
        self,
        *,
        api_key: str | None = DEFAULT_API_KEY,
        clock: Clock | None = None,
        timing: Timing | None = None,
        speed: float = 1.0,
        host: str = "127.0.0.1",
        port: int = 0,
        dialect: str = "openai",
    ) -> None:
        self.api_key = api_key
        self.clock = clock or Clock()
        self.faults = Faults()
        self.jobs = Jobs(self.clock.now, timing, speed)
        if dialect not in DIALECTS:
            raise ValueError(f"dialect is {dialect!r}; it has to be one of {', '.join(DIALECTS)}")
        self.dialect = DIALECTS[dialect]()
        self._api = VideosApi(self.jobs, self.faults, self.clock, api_key, self.dialect)
        self._socket = socket.create_server((host, port))
        self.host, self.port = self._socket.getsockname()[:2]
        config = uvicorn.Config(
            ConnectionInScope(self._api.app()),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            date_header=False,
        )
        self._config = config
        self._server = _StoppableServer(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)

    @property
    def base_url(self) -> str:
        """The URL for the Host of a connection."""
        return f"http://{self.host}:{self.port}{self.dialect.base_path}"

    @property
    def creates(self) -> int:
        """How many paid jobs were accepted."""
        return self.jobs.creates

    @property
    def requests(self) -> list[dict[str, object]]:
        """The requests, in order: route, path, query and status of each."""
        return self._api.log.entries

    def connection(self) -> str:
        """An Airflow connection to this server, for an ``AIRFLOW_CONN_…`` variable."""
        return json.dumps({"conn_type": "sora", "host": self.base_url, "password": self.api_key})

    def start(self) -> Emulator:
        """Begin to serve; `stop` ends it."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """End the server and its thread."""
        self._server.stop()
        self._thread.join(timeout=10)
        self._socket.close()

    def serve(self) -> None:
        """Serve in this thread, until a signal."""
        uvicorn.Server(self._config).run([self._socket])

    def __enter__(self) -> Emulator:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class _StoppableServer(uvicorn.Server):
    """Stops at once when another thread asks for it; uvicorn's own checks for that are 0.1 s apart."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopped: Future[None] = Future()

    def stop(self) -> None:
        """End the server, whether or not it has started yet; from any thread, any number of times."""
        self._stopped.cancel()

    async def main_loop(self) -> None:
        await self.on_tick(0)  # sets the headers of every response
        await asyncio.wait([asyncio.wrap_future(self._stopped)])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for listening in sockets or []:
            listening.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
