"""What the documentation lists is what there is: modules, arguments, fields, errors, states, commands."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import pytest

from airflow_provider_sora import exceptions
from airflow_provider_sora.api.protocol.models import VideoStatus, read_status
from airflow_provider_sora.emulator.dialects import DIALECTS
from airflow_provider_sora.emulator.faults import Effect
from airflow_provider_sora.get_provider_info import CONN_FIELDS
from airflow_provider_sora.manifest import VideoManifest
from airflow_provider_sora.operators.base import SoraJobOperator
from airflow_provider_sora.operators.sora import SoraCreateVideoOperator
from airflow_provider_sora.submission.record import Stage
from airflow_provider_sora.transfers.base import SoraTransferOperator
from airflow_provider_sora.transfers.existing import StoredFile
from airflow_provider_sora.transfers.sora_to_gcs import SoraToGCSOperator
from airflow_provider_sora.transfers.sora_to_s3 import SoraToS3Operator
from tests.docs.commands import TARGETS
from tests.docs.snippets import DOCUMENTS, ROOT, prose_of, without_blocks

PACKAGE = ROOT / "airflow_provider_sora"
# Words that this project used to have for things that have a standard name, and archaic turns.
RETIRED = re.compile(
    r"\b(looks? at|looked at|a look|two looks|sight of|take[ns]? up|taking it up|took up|making it anew|made anew|anew|"
    r"repl(y|ies)|answers?|whoever|not told of|to be had|what lies|lies beside|goes on|in a hurry|lets? go of|"
    r"other words beside|found out|SoraAnswerError|SoraVideoRefusedError)\b",
    re.IGNORECASE,
)
PROSE = [path for path in DOCUMENTS if path.name != "CHANGELOG.md"]


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def section(text: str, title: str) -> str:
    """What follows a heading, up to the next one of its level or above."""
    found = re.search(rf"^(#+) {re.escape(title)}$(?P<body>.*?)(?=^#{{1,2}} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, title
    return found["body"]


def named(text: str) -> set[str]:
    """The names in code quotes."""
    return set(re.findall(r"`([A-Za-z_0-9.-]+)`", text))


def rooms() -> Iterator[tuple[str, dict[str, str]]]:
    """The tables of modules in the architecture: for each directory its modules and their main types."""
    table = section(text_of("docs/architecture.md"), "What is where")
    for directory, body in re.findall(r"^### (\S+)\n(.*?)(?=^###|\Z)", table, re.MULTILINE | re.DOTALL):
        if (PACKAGE.parent / directory).is_dir() or (PACKAGE / directory).is_dir():
            yield directory, dict(re.findall(r"^\| `(\w+)` \|.*\| `(\w+)` \|$", body, re.MULTILINE))


ROOMS = dict(rooms())


def folder_of(room: str) -> Path:
    return PACKAGE if room == PACKAGE.name else PACKAGE / room


def modules_in(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.py") if not path.stem.startswith("__")}


def test_every_directory_is_in_the_architecture() -> None:
    with_modules = {path for path in (PACKAGE, *PACKAGE.rglob("*")) if path.is_dir() and modules_in(path)}
    assert {folder_of(room) for room in ROOMS} == with_modules


@pytest.mark.parametrize("room", ROOMS)
def test_every_module_is_in_the_architecture_with_its_main_type(room: str) -> None:
    folder = folder_of(room)
    assert set(ROOMS[room]) == modules_in(folder)
    for module, name in ROOMS[room].items():
        found = import_module(".".join([*folder.relative_to(ROOT).parts, module]))
        assert hasattr(found, name), f"{module} has no {name}"


def test_every_status_of_a_video_is_in_the_architecture() -> None:
    states = section(text_of("docs/architecture.md"), "The states of a video")
    rows = re.findall(r"^\| `(\w+)` \|([^|]*)\|", states, re.MULTILINE)
    assert [name for name, _ in rows] == [status.value for status in VideoStatus]
    for name, words in rows:
        for word in re.findall(r"\b[a-z]+\b", words) if "every" not in words else ["done", "processing"]:
            assert read_status(word).value == name


def test_every_stage_of_a_submission_is_in_the_architecture() -> None:
    states = section(text_of("docs/architecture.md"), "The states of a submission")
    assert set(re.findall(r"stage `(\w+)`", states)) == set(get_args(Stage))


def arguments_of(*kinds: type[Any]) -> set[str]:
    given = {name for kind in kinds for name in inspect.signature(kind.__init__).parameters}
    return given - {"self", "kwargs"}


def test_every_argument_of_operators_that_make_a_video_is_described() -> None:
    described = named(section(text_of("docs/operators.md"), "Make a video"))
    assert arguments_of(SoraJobOperator, SoraCreateVideoOperator) <= described


def test_every_argument_of_transfers_is_described() -> None:
    described = named(text_of("docs/transfers.md"))
    assert arguments_of(SoraTransferOperator, SoraToS3Operator, SoraToGCSOperator) <= described


def test_every_field_of_what_tasks_return_is_described() -> None:
    made = named(section(text_of("docs/operators.md"), "Use the result"))
    moved = named(section(text_of("docs/transfers.md"), "Use the result"))
    assert set(VideoManifest.model_fields) <= made
    assert {field.name for field in fields(StoredFile)} <= moved


def test_every_field_of_the_connection_is_described() -> None:
    assert set(re.findall(r"^\| Extra `(\w+)` \|", text_of("docs/connection.md"), re.MULTILINE)) == set(CONN_FIELDS)


def test_every_error_is_described() -> None:
    known = {name for name, value in vars(exceptions).items() if inspect.isclass(value) and name.startswith("Sora")}
    described = named(text_of("docs/errors.md"))
    assert known - described == {"SoraError"} - described
    assert {name for name in described if name.startswith("Sora") and name.endswith("Error")} <= known


def test_every_dialect_and_effect_of_the_emulator_is_described() -> None:
    text = text_of("docs/emulator.md")
    assert set(DIALECTS) - {"openai"} <= named(text)
    assert [effect for effect in get_args(Effect) if f'"{effect}"' not in text] == []


def test_every_make_target_is_described() -> None:
    described = set(re.findall(r"(?:^|`)make ([a-z0-9.-]+)", text_of("CONTRIBUTING.md"), re.MULTILINE))
    phony = {target for target in TARGETS if not target.startswith(".")} - {"test-lowest-"}
    assert phony - described == set()
    assert described - phony == set()


def test_what_github_runs_are_make_targets() -> None:
    workflow = text_of(".github/workflows/ci.yml")
    used = set(re.findall(r"run: make ([a-z0-9.-]+)", workflow))
    used |= set(re.findall(r"^ +- ([a-z][a-z0-9.-]+)(?: AIRFLOW=\S+)?$", section_of_targets(workflow), re.MULTILINE))
    assert used <= TARGETS
    in_ci = set(re.findall(r"^make ([a-z0-9.-]+)", text_of(".ci/run"), re.MULTILINE))
    assert in_ci <= used


def section_of_targets(workflow: str) -> str:
    return workflow[workflow.index("target:") : workflow.index("name: ${{ matrix.target }}")]


def test_hooks_run_what_check_runs() -> None:
    entries = set(re.findall(r"entry: make (\S+)", text_of(".pre-commit-config.yaml")))
    makefile = text_of("Makefile")
    [check] = re.findall(r"^check: (.*)$", makefile, re.MULTILINE)
    assert entries == {*check.split(), "docs"}


@pytest.mark.parametrize("path", PROSE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_prose_has_no_retired_word(path: Path) -> None:
    prose = prose_of(path.read_text(encoding="utf-8"))
    assert [found[0] for found in RETIRED.finditer(prose)] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_code_in_the_text_is_on_one_line(path: Path) -> None:
    lines = without_blocks(path.read_text(encoding="utf-8")).splitlines()
    assert [line for line in lines if line.count("`") % 2] == []


@pytest.mark.parametrize("text", ["It takes up the job.", "No answer came.", "two looks", "made anew"])
def test_a_retired_word_is_noticed(text: str) -> None:
    assert RETIRED.search(text) or RETIRED.search(text.replace("takes", "take"))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^()#\s]+)", path.read_text(encoding="utf-8"))
    assert [link for link in links if ":" not in link and not (path.parent / link).exists()] == []
