"""Checks the commands of the documentation without running them: targets, options, files, connections."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from typing import Any

from airflow_provider_sora.compat import Connection
from airflow_provider_sora.emulator.__main__ import parse
from airflow_provider_sora.get_provider_info import get_provider_info
from airflow_provider_sora.hooks.connection import read_config
from tests.docs.snippets import ROOT

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = frozenset(
    target for line in re.findall(r"^([a-z0-9 .-]+):", MAKEFILE, re.MULTILINE) for target in line.split()
)
_VARIABLES = frozenset(re.findall(r"^([A-Z]+) \??:?=", MAKEFILE, re.MULTILINE))
_EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]

# What cannot be checked here, and why.
TRUSTED = {
    "git": "another tool's, and releasing changes the repository",
    ".build/tools/bin/uv publish": "uploads with a maintainer's credentials",
}


class UnknownCommandError(Exception):
    """A command that no check knows."""


def commands_of(block: str) -> Iterator[list[str]]:
    """The commands of a block, in words."""
    for line in block.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words:
            yield words


def check(words: list[str]) -> None:
    """Check a command.

    :raises UnknownCommandError: nothing here knows it
    :raises AssertionError: it would not work
    """
    while words and re.match(r"[A-Z_0-9]+=", words[0]):
        check_variable(words.pop(0))
    if any(" ".join(words).startswith(trusted) for trusted in TRUSTED):
        return
    name = "python" if words[0].endswith("/python") else words[0]
    if name not in _CHECKS:
        raise UnknownCommandError(" ".join(words))
    _CHECKS[name](words[1:])


def check_variable(assignment: str) -> None:
    """Check a variable of the environment: somebody has to read it."""
    name, _, value = assignment.partition("=")
    if name.startswith("AIRFLOW_CONN_"):
        check_connection(json.loads(value))
    elif name.startswith("AIRFLOW__SORA__"):
        check_option(name.removeprefix("AIRFLOW__SORA__").lower())
    else:
        tests = (ROOT / "tests").rglob("test_*.py")
        assert any(f'"{name}"' in path.read_text(encoding="utf-8") for path in tests), f"nobody reads {name}"


def check_connection(fields: dict[str, Any]) -> None:
    """Check a connection of type ``sora``."""
    assert fields.pop("conn_type") == "sora"
    extra = fields.pop("extra", {})
    read_config(Connection(conn_id="documented", conn_type="sora", **fields), extra)


def check_option(name: str) -> None:
    """Check an option of the section ``[sora]``."""
    assert name in get_provider_info()["config"]["sora"]["options"]


def _make(words: list[str]) -> None:
    variables = [word.partition("=")[0] for word in words if "=" in word]
    targets = [word for word in words if "=" not in word]
    assert set(variables) <= _VARIABLES
    assert targets
    assert set(targets) <= TARGETS
    for word in words:
        if word.startswith("AIRFLOW="):
            assert (ROOT / "constraints" / f"airflow-{word.partition('=')[2]}.txt").exists()
        if word.startswith("ARGS="):
            _paths(shlex.split(word.partition("=")[2]))


def _paths(words: list[str]) -> None:
    for word in words:
        if word.startswith("tests/"):
            assert (ROOT / word).exists(), f"{word} does not exist"


def _python(words: list[str]) -> None:
    assert words[0] == "-m"
    if words[1] == "airflow_provider_sora.emulator":
        parse(words[2:])
    else:
        assert words[1] == "pytest"
        _paths(words[2:])


def _pip(words: list[str]) -> None:
    assert words[0] == "install"
    found = re.fullmatch(r"airflow-provider-sora\[([a-z,-]+)\]", words[1])
    assert found
    assert set(found[1].split(",")) <= set(_EXTRAS)


def _airflow(words: list[str]) -> None:
    from airflow.cli.cli_parser import get_parser

    get_parser().parse_args(words)


def _bash(words: list[str]) -> None:
    assert (ROOT / words[0]).is_file()


def _export(words: list[str]) -> None:
    [assignment] = words
    check_variable(assignment)


_CHECKS: dict[str, Callable[[list[str]], None]] = {
    "make": _make,
    "python": _python,
    "pip": _pip,
    "airflow": _airflow,
    "bash": _bash,
    "export": _export,
}
