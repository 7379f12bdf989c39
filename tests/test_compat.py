"""Airflow's names on every Airflow, and a connection on an event loop with every common-compat."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from airflow_provider_sora import compat
from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.hooks.sora import SoraHook

ROOT = Path(__file__).resolve().parent.parent
EXTRA = {"auth": "none", "timeout": 5}
# common-compat has these since 1.6.0, which is the floor; `sdk`, `triggers` and `connection` are younger.
OLD_ENOUGH = {"airflow.providers.common.compat.lineage.hook", "airflow.providers.common.compat.openlineage.facet"}


@pytest.mark.parametrize("name", [name for name in compat.__all__ if not name.startswith("Retry")])
def test_this_airflow_has_every_name(name: str) -> None:
    assert getattr(compat, name) is not None


def test_a_retry_policy_is_there_from_airflow_3_3_on() -> None:
    if compat.AIRFLOW_V_3_3_PLUS:
        assert compat.RetryPolicy is not None
    else:
        with pytest.raises(ImportError, match=r"has no RetryPolicy: tried airflow\.sdk"):
            _ = compat.RetryPolicy


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = compat.Nothing


def test_an_object_storage_path_that_universal_pathlib_breaks_names_both_and_the_way_out() -> None:
    def broken(_: str) -> None:
        raise TypeError("ObjectStoragePath(...) detected protocol file which is incompatible")  # universal-pathlib 0.3

    words = r"Airflow [\d.]+ does not work with universal-pathlib [\d.]+, .*: install 'universal-pathlib<0\.3', or"
    with pytest.raises(SoraConfigError, match=words):
        compat.check_object_storage(broken)
    compat.check_object_storage(compat.ObjectStoragePath)


def test_of_common_compat_only_what_its_floor_has_is_imported() -> None:
    files = [*(ROOT / "airflow_provider_sora").rglob("*.py"), *(ROOT / "example_dags").glob("*.py")]
    used = {
        f"airflow.providers.common.compat.{name}"
        for file in files
        if file.name != "compat.py"
        for name in re.findall(r"(?:from|import) airflow\.providers\.common\.compat\.([\w.]+)", file.read_text())
    }
    assert used == OLD_ENOUGH


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> None:
    value = {"conn_type": "sora", "host": "https://host/v1", "extra": EXTRA}
    monkeypatch.setenv("AIRFLOW_CONN_SORA_DEFAULT", json.dumps(value))


@pytest.mark.usefixtures("connection")
def test_a_connection_is_read_on_a_loop() -> None:
    found, extra = asyncio.run(compat.get_async_connection(SoraHook(), "sora_default"))
    assert (found.host, extra) == ("https://host/v1", EXTRA)


@pytest.mark.usefixtures("connection")
@pytest.mark.parametrize("younger", ["get_async_connection", "get_async_extra_dejson"])
def test_a_connection_is_read_with_a_common_compat_that_lacks_the_functions(
    monkeypatch: pytest.MonkeyPatch, younger: str
) -> None:
    old = ModuleType("airflow.providers.common.compat.connection")
    if younger == "get_async_extra_dejson":
        old.get_async_connection = None  # type: ignore[attr-defined]
    package = pytest.importorskip("airflow.providers.common.compat")
    monkeypatch.setitem(sys.modules, old.__name__, old)
    monkeypatch.setattr(package, "connection", old, raising=False)
    found, extra = asyncio.run(compat.get_async_connection(SoraHook(), "sora_default"))
    assert (found.host, extra) == ("https://host/v1", EXTRA)


class Connection:
    """What Airflow before 3.3.2 hands out."""

    extra = '{"auth": "none"}'

    @property
    def extra_dejson(self) -> dict[str, Any]:
        return {"auth": "none", "thread": threading.current_thread() is not threading.main_thread()}


class AwaitableConnection(Connection):
    async def aextra_dejson(self) -> dict[str, Any]:
        return {"awaited": True}


class Hook:
    def get_connection(self, conn_id: str) -> str:
        return f"{conn_id} from {'the loop' if threading.current_thread() is threading.main_thread() else 'a thread'}"


class AwaitableHook(Hook):
    async def aget_connection(self, conn_id: str) -> str:
        return f"{conn_id} awaited"


@pytest.mark.parametrize(
    ("version", "hook", "connection_type", "expected"),
    [
        ((2, 11), Hook, Connection, "c from a thread"),
        ((3, 0), Hook, Connection, "c from a thread"),
        ((3, 1), AwaitableHook, Connection, "c awaited"),
        ((3, 2), AwaitableHook, Connection, "c from a thread"),
        ((3, 3), AwaitableHook, AwaitableConnection, "c awaited"),
    ],
)
def test_the_loop_is_not_blocked_for_a_connection(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, int], hook: Any, connection_type: Any, expected: str
) -> None:
    monkeypatch.setattr(compat, "AIRFLOW_V_3_2_PLUS", version >= (3, 2))
    monkeypatch.setattr(compat, "_connection_type", lambda: connection_type)
    found: Any = asyncio.run(compat.connection_on_loop(hook(), "c"))
    assert found == expected


@pytest.mark.parametrize(
    ("version", "connection_type", "expected"),
    [
        ((2, 11), Connection, {"auth": "none", "thread": True}),
        ((3, 0), Connection, {"auth": "none"}),
        ((3, 2), Connection, {"auth": "none", "thread": True}),
        ((3, 3), AwaitableConnection, {"awaited": True}),
    ],
)
def test_the_loop_is_not_blocked_for_the_extra(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, int], connection_type: Any, expected: dict[str, Any]
) -> None:
    monkeypatch.setattr(compat, "AIRFLOW_V_3_0_PLUS", version >= (3, 0))
    monkeypatch.setattr(compat, "AIRFLOW_V_3_2_PLUS", version >= (3, 2))
    assert asyncio.run(compat.extra_on_loop(connection_type())) == expected
