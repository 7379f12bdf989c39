"""The fenced blocks of the documentation."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")], key=lambda path: path.relative_to(ROOT).as_posix()
)
_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[^\n]*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Snippet:
    """One block.

    :param line: of its first line of text, from 1
    """

    document: str
    line: int
    language: str
    text: str

    @property
    def is_test(self) -> bool:
        """Whether it defines tests."""
        return bool(re.search(r"^(async )?def test_", self.text, re.MULTILINE))

    @property
    def is_dag_file(self) -> bool:
        """Whether it is what a user would put into the folder of DAGs."""
        return bool(re.search(r"^with DAG\(|^@dag\b", self.text, re.MULTILINE))

    @property
    def is_tasks(self) -> bool:
        """Whether it is a part of a DAG: it makes operators, and no DAG around them."""
        return not self.is_dag_file and bool(
            re.search(r"^(\w+ = )?Sora\w+(Operator|Sensor)\b", self.text, re.MULTILINE)
        )

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def snippets_of(document: str, text: str) -> Iterator[Snippet]:
    """The blocks of a document."""
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 2
        yield Snippet(document, line, found["language"].strip(), textwrap.dedent(found["text"]))


def all_snippets() -> list[Snippet]:
    """The blocks of all documents."""
    return [
        snippet
        for path in DOCUMENTS
        for snippet in snippets_of(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
    ]


def without_blocks(text: str) -> str:
    """A document without its blocks."""
    return _FENCE.sub("", text)


def prose_of(text: str) -> str:
    """A document without its blocks and its code in the text."""
    return re.sub(r"`[^`\n]*`", "", without_blocks(text))
