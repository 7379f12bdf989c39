from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

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


def airflow(*arguments: str) -> str:
    command = [str(Path(sys.executable).with_name("airflow")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


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
    assert "airflow-provider-sora" in airflow("providers", "list", "-o", "plain")
    assert "airflow_provider_sora.hooks.sora.SoraHook" in airflow("providers", "hooks", "-o", "plain")
    assert "airflow_provider_sora.triggers.sora" in airflow("providers", "triggers", "-o", "plain")


@pytest.mark.parametrize(
    "module",
    ["operators.sora", "hooks.sora", "triggers.sora", "transfers.sora_to_s3", "transfers.sora_to_object_storage"],
)
def test_importing_what_a_dag_imports_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, airflow_provider_sora.{module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_pytest_plugin_loads_nothing_of_airflow() -> None:
    code = "import sys, airflow_provider_sora.emulator.pytest_plugin; print('airflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
