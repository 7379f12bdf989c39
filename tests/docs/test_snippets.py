"""Every block of the documentation is run or checked; CONTRIBUTING.md has the table of what is done with which."""

from __future__ import annotations

import asyncio
import configparser
import inspect
import json
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from airflow_provider_sora.api.decisions import intervals
from airflow_provider_sora.compat import AIRFLOW_V_3_0_PLUS
from airflow_provider_sora.emulator import Emulator, media
from airflow_provider_sora.get_provider_info import CONN_FIELDS
from tests.dags.running import run_dag
from tests.docs import commands
from tests.docs.snippets import Snippet, all_snippets, snippets_of
from tests.pictures import png
from tests.transfers.gcs_server import GCSServer

SNIPPETS = all_snippets()
DIAGRAMS = ("sequenceDiagram", "stateDiagram-v2")
DAG_AROUND = """
from datetime import datetime
from airflow_provider_sora.compat import DAG

with DAG("{name}", schedule=None, start_date=datetime(2026, 11, 1)):
"""
# What the documents promise to be there; its name is not, so that a snippet has to import it.
CREATE = """
from airflow_provider_sora.operators import sora as _sora
create = _sora.SoraCreateVideoOperator(task_id="made", prompt="A lighthouse", size="64x64", poll_interval=0.1)
"""


def of(*languages: str) -> list[Snippet]:
    return [snippet for snippet in SNIPPETS if snippet.language in languages]


def each(wanted: Callable[[Snippet], bool]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("snippet", [snippet for snippet in of("python") if wanted(snippet)], ids=str)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Stands for the root of a worker's disks."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "first-frame.png").write_bytes(png((1280, 720)))
    return tmp_path


@pytest.fixture
def buckets(s3: Any, gcs: GCSServer) -> Iterator[None]:
    """The bucket ``media``, with what a video may start from in it."""
    s3.create_bucket(Bucket="media")
    s3.put_object(Bucket="media", Key="first-frame.png", Body=png((640, 360)))
    s3.put_object(Bucket="media", Key="mara.mp4", Body=media.mp4("Mara", "3", "64x64"))
    storage.Client(project="p", credentials=AnonymousCredentials()).create_bucket("media")
    yield
    for item in s3.list_objects_v2(Bucket="media").get("Contents", []):
        s3.delete_object(Bucket="media", Key=item["Key"])
    s3.delete_bucket(Bucket="media")


@pytest.fixture
def world(
    sora_emulator: Emulator, airflow_db: Path, buckets: None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Snippet], str]:
    """All that a snippet needs; makes its text one whose paths are in a folder of the test."""
    whole = media.mp4
    monkeypatch.setattr(media, "mp4", lambda prompt, *_: whole(prompt, "1", "64x64"))  # any size and length in a moment
    monkeypatch.setattr(intervals, "FIRST_PAUSE_SECONDS", 0.1)
    sora_emulator.jobs.speed = 30
    return lambda snippet: re.sub(r"(?<=[\"'/])/(?=(mnt|data)/)", f"{folder}/", snippet.text)


def run(snippet: Snippet, text: str, namespace: dict[str, Any]) -> None:
    # Its own line numbers, so that an error leads to the document.
    code = compile("\n" * (snippet.line - 1) + text, snippet.document, "exec")
    exec(code, namespace)  # noqa: S102 - our own documents


@pytest.fixture
def parsed(airflow_db: Path) -> Iterator[Callable[[str], list[Any]]]:
    """Makes a DAG file of a text; its DAGs, as Airflow finds them."""
    file = airflow_db / "dags" / "documented.py"  # Airflow 3 runs only what is in its folder

    def parse(text: str) -> list[Any]:
        file.write_text(text, encoding="utf-8")
        bag = dag_bag()(str(file))
        assert bag.import_errors == {}
        return list(bag.dags.values())

    yield parse
    file.unlink(missing_ok=True)


def dag_bag() -> Any:
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:
        from airflow.models import DagBag
    return DagBag


@each(lambda snippet: snippet.is_dag_file)
def test_a_dag_is_imported_and_runs(
    snippet: Snippet, world: Callable[[Snippet], str], parsed: Callable[[str], list[Any]]
) -> None:
    if "airflow.sdk" in snippet.text and not AIRFLOW_V_3_0_PLUS:
        pytest.skip("asset watchers are Airflow 3's")
    dags = parsed(world(snippet))
    assert dags
    for dag in dags:
        assert dag.tasks
        if (
            "AssetWatcher" not in snippet.text
        ):  # such a one needs the event that starts it: tests/system/test_watcher.py
            assert run_dag(dag) == "success"


@each(lambda snippet: snippet.is_tasks)
def test_tasks_run_in_a_dag(
    snippet: Snippet, world: Callable[[Snippet], str], parsed: Callable[[str], list[Any]]
) -> None:
    needs_create = "create.output" in snippet.text and "create = " not in snippet.text
    body = textwrap.indent((CREATE if needs_create else "") + world(snippet), "    ")
    [dag] = parsed(DAG_AROUND.format(name=f"documented_{Path(snippet.document).stem}_{snippet.line}") + body)
    assert run_dag(dag) == "success"


@each(lambda snippet: snippet.is_test)
def test_a_test_passes(snippet: Snippet, world: Callable[[Snippet], str], request: pytest.FixtureRequest) -> None:
    namespace: dict[str, Any] = {}
    run(snippet, world(snippet), namespace)
    tests = [value for name, value in namespace.items() if name.startswith("test_")]
    assert tests
    for test in tests:
        result = test(**{name: request.getfixturevalue(name) for name in inspect.signature(test).parameters})
        if inspect.isawaitable(result):
            asyncio.run(_awaited(result))


async def _awaited(result: Any) -> None:
    await result


@each(lambda snippet: not (snippet.is_dag_file or snippet.is_tasks or snippet.is_test))
def test_a_script_runs(snippet: Snippet, world: Callable[[Snippet], str]) -> None:
    run(snippet, world(snippet), {"__name__": "documented"})


@pytest.mark.parametrize("snippet", of("bash"), ids=str)
def test_commands_would_work(snippet: Snippet) -> None:
    found = list(commands.commands_of(snippet.text))
    assert found
    for words in found:
        commands.check(words)


@pytest.mark.parametrize("snippet", of("json"), ids=str)
def test_json_is_what_its_reader_takes(snippet: Snippet) -> None:
    fields = json.loads(snippet.text)
    if set(fields) <= set(CONN_FIELDS):
        commands.check_connection({"conn_type": "sora", "host": "https://videos.example.com", "extra": fields})
    elif "conn_type" in fields:
        commands.check_connection(fields)
    elif "effect" in fields:
        from airflow_provider_sora.emulator import Fault

        assert Fault(**fields).route
    else:
        from botocore.config import Config

        assert Config(**fields["config_kwargs"])  # Extra of Airflow's connections to AWS


@pytest.mark.parametrize("snippet", of("ini"), ids=str)
def test_options_exist(snippet: Snippet) -> None:
    parser = configparser.ConfigParser()
    parser.read_string(snippet.text)
    assert parser.sections() == ["sora"]
    for name in parser["sora"]:
        commands.check_option(name)


@pytest.mark.parametrize("snippet", of("mermaid"), ids=str)
def test_a_diagram_is_of_a_known_kind(snippet: Snippet) -> None:
    assert snippet.text.split()[0] in DIAGRAMS


def test_every_block_is_of_a_kind_that_is_run_or_checked() -> None:
    known = of("python", "bash", "json", "ini", "mermaid", "text")
    assert [str(snippet) for snippet in SNIPPETS if snippet not in known] == []
    assert {snippet.document for snippet in known} >= {"README.md", "CONTRIBUTING.md", "docs/operators.md"}


@pytest.mark.parametrize("language", ["", "python3", "console", "yaml"])
def test_a_block_of_another_kind_is_noticed(language: str) -> None:
    [snippet] = snippets_of("x.md", f"text\n\n```{language}\nx = 1\n```\n")
    assert (snippet.language, snippet.line) == (language, 4)
    assert snippet.language not in ("python", "bash", "json", "ini", "mermaid", "text")


@pytest.mark.parametrize(
    "command",
    [
        "make nothing",
        "make test AIRFLOW=1.10.15",
        "make test COLOUR=red",
        "make test ARGS=tests/test_nothing.py",
        'pip install "airflow-provider-sora[azure]"',
        "SORA_NOTHING=1 make test",
        "bash .ci/nothing",
    ],
)
def test_a_command_that_would_not_work_is_noticed(command: str) -> None:
    [words] = commands.commands_of(command)
    with pytest.raises(AssertionError):
        commands.check(words)


def test_a_command_that_no_check_knows_is_noticed() -> None:
    with pytest.raises(commands.UnknownCommandError):
        commands.check(["curl", "https://videos.example.com"])


def test_each_trusted_command_is_in_the_documents() -> None:
    assert all(reason for reason in commands.TRUSTED.values())
    text = "\n".join(snippet.text for snippet in of("bash"))
    assert [name for name in commands.TRUSTED if name not in text] == []
