"""An HTTP server of a test's own, in a thread, which ends at once."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from typing import Any, Self

# How often the server checks whether to stop: with Python's default of 0.5 s, each test would wait for that.
_CHECK_SECONDS = 0.01


class LoopbackServer(ThreadingHTTPServer):
    """Listens on a free port of loopback; a context manager."""

    def __init__(self, handler: Callable[..., Any]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, args=(_CHECK_SECONDS,), daemon=True)

    def start(self) -> None:
        """Serve until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """End the server and its thread."""
        self.shutdown()
        self.server_close()
        self._thread.join()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that give up in the middle of a response are what tests are about; anything else is a defect."""
        error = sys.exception()
        if error is not None and not isinstance(error, ConnectionError):
            raise error

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
