"""A Videos API over TLS whose jobs are there from the start: ``python -m benchmarks.job_server SCENARIO server.pem``.

One event loop answers everything, each request after the scenario's latency, so that thousands may be on their way.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from collections import Counter
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from benchmarks.loopback_server import announce, end_with_parent
from benchmarks.process import cpu_seconds
from benchmarks.scenario import WARM_UP, WARM_UP_AGE, Scenario

_LONGEST_PAGE = 100
_QUEUED_SHARE = 0.1  # of a job's time
_LIFETIME = 86400
_BACKLOG = 4096


class Jobs:
    """All jobs, oldest first. Before `begin` there is none but the one to warm up with."""

    def __init__(self, scenario: Scenario) -> None:
        self._progress = scenario.progress
        self._ids = [WARM_UP]
        self._durations = [1.0]
        self._begins = [time.time() - WARM_UP_AGE]
        self._places = {WARM_UP: 0}
        self._scenario = scenario

    def begin(self, start: float) -> None:
        """Submit the scenario's jobs, all at `start`."""
        self._ids = [WARM_UP, *self._scenario.ids]
        self._durations = [1.0, *self._scenario.durations]
        self._begins = [self._begins[0], *[start] * self._scenario.count]
        self._places = {video: place for place, video in enumerate(self._ids)}

    @property
    def ends(self) -> list[float]:
        """When each job of the scenario ends, in unix seconds."""
        return [begin + duration for begin, duration in zip(self._begins, self._durations, strict=True)][1:]

    def one(self, video: str, now: float) -> dict[str, Any] | None:
        """A job as it is at `now`."""
        place = self._places.get(video)
        return None if place is None else self._shown(place, now)

    def page(self, query: dict[str, str], now: float) -> dict[str, Any] | None:
        """A page of the list; None where it is to begin after a job that is not there."""
        newest = query.get("order", "desc") == "desc"
        after = query.get("after")
        if after is not None and after not in self._places:
            return None
        places = range(len(self._ids))[:: -1 if newest else 1]
        first = places.index(self._places[after]) + 1 if after else 0
        limit = max(1, min(int(query.get("limit", 20)), _LONGEST_PAGE))
        shown = [self._shown(place, now) for place in places[first : first + limit]]
        return {
            "object": "list",
            "data": shown,
            "first_id": shown[0]["id"] if shown else None,
            "last_id": shown[-1]["id"] if shown else None,
            "has_more": first + limit < len(places),
        }

    def _shown(self, place: int, now: float) -> dict[str, Any]:
        begin, duration = self._begins[place], self._durations[place]
        share = (now - begin) / duration
        status = "completed" if share >= 1 else "in_progress" if share >= _QUEUED_SHARE else "queued"
        video = {
            "id": self._ids[place],
            "object": "video",
            "status": status,
            "model": "sora-2",
            "seconds": "8",
            "size": "1280x720",
            "created_at": int(begin),
            "completed_at": int(begin + duration) if share >= 1 else None,
            "expires_at": int(begin) + _LIFETIME,
        }
        if self._progress:
            video["progress"] = _progress(share)
        return video


class JobServer:
    """Says what is asked for, and counts what was asked."""

    def __init__(self, scenario: Scenario) -> None:
        self.latency = scenario.latency
        self.counts: Counter[str] = Counter()
        self._jobs = Jobs(scenario)

    def answer(self, target: str) -> bytes:
        """The answer to a GET, as it is half way through the latency: the other half is the way back."""
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query))
        kind, body = self._body(parts.path, query, time.time() + self.latency / 2)
        self.counts[kind] += 1
        text = json.dumps(body or {"error": {"message": "no such video", "code": "not_found"}}).encode()
        head = (
            f"HTTP/1.1 {'404 Not Found' if body is None else '200 OK'}\r\nDate: {formatdate(usegmt=True)}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
        )
        return head.encode() + text

    def _body(self, path: str, query: dict[str, str], now: float) -> tuple[str, dict[str, Any] | None]:
        if path == "/v1/videos":
            return "list", self._jobs.page(query, now)
        if path == "/begin":
            self._jobs.begin(float(query["start"]))
            self.counts.clear()
            return "control", {"jobs": len(self._jobs.ends)}
        if path == "/stats":
            counts = self.counts - Counter(connection=1)  # the one that asks this
            return "control", {"counts": counts, "ends": self._jobs.ends, "cpu": cpu_seconds()}
        return "single", self._jobs.one(path.removeprefix("/v1/videos/"), now)


class Conversation(asyncio.Protocol):
    """One client's connection, kept alive."""

    def __init__(self, server: JobServer) -> None:
        self._server = server
        self._ahead = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called after the handshake."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - it is a stream's
        self._transport = transport
        self._server.counts["connection"] += 1

    def data_received(self, data: bytes) -> None:
        """Requests have no bodies: each ends where its head does."""
        self._ahead += data
        *heads, self._ahead = self._ahead.split(b"\r\n\r\n")
        for head in heads:
            answer = self._server.answer(head.split(b" ", 2)[1].decode())
            asyncio.get_running_loop().call_later(self._server.latency, self._send, answer)

    def _send(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)


def _progress(share: float) -> int:
    done = (share - _QUEUED_SHARE) / (1 - _QUEUED_SHARE)
    return 100 if share >= 1 else max(0, min(99, int(100 * done)))


async def _serve(scenario: Scenario, pem: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    jobs = JobServer(scenario)
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: Conversation(jobs), "127.0.0.1", 0, ssl=context, backlog=_BACKLOG)
    announce(listening.sockets[0].getsockname()[1])
    await listening.serve_forever()


if __name__ == "__main__":
    end_with_parent()
    asyncio.run(_serve(Scenario.of_json(sys.argv[1]), sys.argv[2]))
