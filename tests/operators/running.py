"""Runs an operator as Airflow does, blocking or deferred, without an Airflow around it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from airflow_provider_sora.compat import TaskDeferred
from airflow_provider_sora.operators.base import SoraJobOperator
from airflow_provider_sora.triggers.sora import SoraVideoTrigger

Run = Callable[[SoraJobOperator], dict[str, Any]]


def run_blocking(task: SoraJobOperator) -> dict[str, Any]:
    """In the worker from start to end."""
    task.deferrable = False
    return task.execute({})


def run_deferred(task: SoraJobOperator) -> dict[str, Any]:
    """Each trigger is rebuilt from its serialized form; nothing but its event comes back, as in `dags test`."""
    task.deferrable = True
    method: Callable[..., dict[str, Any]] = task.execute
    arguments: dict[str, Any] = {}
    while True:
        try:
            return method({}, **arguments)
        except TaskDeferred as deferred:
            path, fields = deferred.trigger.serialize()
            assert path.endswith(SoraVideoTrigger.__name__)
            event = asyncio.run(_first_event(SoraVideoTrigger(**json.loads(json.dumps(fields)))))
            method = getattr(task, deferred.method_name)
            arguments = {"event": json.loads(json.dumps(event))}


async def _first_event(trigger: SoraVideoTrigger) -> Any:
    return (await anext(aiter(trigger.run()))).payload
