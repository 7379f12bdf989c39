from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from importlib.metadata import entry_points
from importlib.resources import files

import jsonschema

from airflow_provider_sora.get_provider_info import get_provider_info

HEAVY = (
    "airflow.providers.amazon.aws.hooks",
    "airflow.providers.google.cloud",
    "boto3",
    "uvicorn",
    "av",
    "PIL",
    "s3fs",
    "airflow_provider_sora.emulator",
)


def run_python(code: str) -> str:
    """What a program prints that runs in a process of its own."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_the_metadata_is_what_airflow_expects() -> None:
    schema = json.loads(files("airflow").joinpath("provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)


def test_the_entry_point_leads_to_it() -> None:
    [entry] = [e for e in entry_points(group="apache_airflow_provider") if e.value.startswith("airflow_provider_sora")]
    assert entry.load()()["package-name"] == "airflow-provider-sora"


def test_every_module_and_class_it_names_exists() -> None:
    info = get_provider_info()
    named = [
        module for kind in ("operators", "hooks", "triggers") for e in info[kind] for module in e["python-modules"]
    ]
    for module in named + [transfer["python-module"] for transfer in info["transfers"]]:
        import_module(module)
    module, _, name = info["connection-types"][0]["hook-class-name"].rpartition(".")
    assert getattr(import_module(module), name).conn_type == info["connection-types"][0]["connection-type"]


def test_airflow_lists_provider_hook_and_trigger() -> None:
    # The command `airflow` three times over, in one process, because Airflow takes seconds to start.
    said = run_python(
        """
import sys
from airflow.__main__ import main
for what in ("list", "hooks", "triggers"):
    sys.argv = ["airflow", "providers", what, "-o", "plain"]
    print("AIRFLOW SAYS")
    main()
"""
    )
    providers, hooks, triggers = said.split("AIRFLOW SAYS")[1:]
    assert "airflow-provider-sora" in providers
    assert "airflow_provider_sora.hooks.sora.SoraHook" in hooks
    assert "airflow_provider_sora.triggers.sora" in triggers


def test_importing_what_a_dag_imports_loads_nothing_heavy() -> None:
    names = (
        "operators.sora",
        "hooks.sora",
        "triggers.sora",
        "transfers.sora_to_s3",
        "transfers.sora_to_object_storage",
    )
    modules = [f"airflow_provider_sora.{name}" for name in names]
    said = run_python(
        f"""
import importlib, sys
for module in {modules!r}:
    importlib.import_module(module)
    print("LOADED", module, [name for name in {HEAVY!r} if name in sys.modules])
"""
    )
    loaded = [line for line in said.splitlines() if line.startswith("LOADED")]
    assert loaded == [f"LOADED {module} []" for module in modules]


def test_the_pytest_plugin_loads_nothing_of_airflow() -> None:
    said = run_python("import sys, airflow_provider_sora.emulator.pytest_plugin; print('airflow' in sys.modules)")
    assert said.strip() == "False"
