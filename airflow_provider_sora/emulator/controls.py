"""The emulator's own routes below ``/_emulator``, by which another process observes and controls it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from airflow_provider_sora.emulator.clock import Clock
from airflow_provider_sora.emulator.faults import Fault, Faults
from airflow_provider_sora.emulator.jobs import Jobs


@dataclass
class RequestLog:
    """The requests to the API: route, path, query and status; neither headers nor bodies, so no secrets."""

    entries: list[dict[str, Any]] = field(default_factory=list)

    def add(self, route: str, request: Request, status: int) -> None:
        self.entries.append(
            {"route": route, "path": request.url.path, "query": dict(request.query_params), "status": status}
        )


@dataclass(frozen=True)
class Controls:
    """The handlers of these routes."""

    jobs: Jobs
    faults: Faults
    clock: Clock
    log: RequestLog

    async def state(self, _: Request) -> Response:
        now = self.jobs.now()
        return JSONResponse(
            {
                "creates": self.jobs.creates,
                "now": now,
                "jobs": [job.to_json(now) for job in self.jobs.all()],
                "requests": self.log.entries,
                "faults": self.faults.to_json(),
            }
        )

    async def change_faults(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.faults.clear()
        else:
            self.faults.add(Fault(**await request.json()))
        return JSONResponse(self.faults.to_json())

    async def advance_clock(self, request: Request) -> Response:
        self.clock.advance(float((await request.json())["advance"]))
        return JSONResponse({"now": self.jobs.now()})
