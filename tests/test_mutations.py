"""The defects that `make mutants` plants."""

from __future__ import annotations

import ast

import pytest

from dev.equivalent_mutants import EQUIVALENT
from dev.mutants import TARGETS, candidates, targets
from dev.mutations import mutations


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = a == b < 3", ["x = a != b < 3", "x = a == b <= 3", "x = a == b < 4", "x = a == b < 2"]),
        ("x = a in b", ["x = a not in b"]),
        ("x = a and (not b)", ["x = a or not b", "x = a and b"]),
        ("x = True", ["x = False"]),
        ("if a:\n    f()", ["if not a:\n    f()", "if a:\n    pass"]),
        ("x = a if b else c", ["x = a if not b else c"]),
        ("x += a", ["x -= a", "pass"]),
        ("def f():\n    return x", ["def f():\n    return None"]),
        ("def f():\n    return None", []),
        ("for x in y:\n    continue", ["for x in y:\n    break"]),
        ("raise x", ["pass"]),
        ("f(**x)", ["pass", "f(**{})"]),
        ("x = 'text'", []),
        ("log.info(a == b)", []),
        ("x: List[a == b] = c", []),
        ("@f(a == b)\ndef g(x: 1) -> 2:\n    'doc'", []),
        ("if TYPE_CHECKING:\n    import x", []),
    ],
)
def test_each_defect_is_one_change(source: str, expected: list[str]) -> None:
    assert [ast.unparse(mutation.tree) for mutation in mutations(source)] == expected


def test_a_defect_names_its_line() -> None:
    [mutation] = mutations("z = y\n\nz = x is y")
    assert (mutation.line, mutation.text, mutation.what) == (3, "z = x is y", "Is becomes IsNot")


def test_each_equivalent_mutant_is_still_there_and_has_a_reason() -> None:
    for target in targets(list(EQUIVALENT)):
        assert candidates(target)
    assert all(reason for known in EQUIVALENT.values() for reason in known.values())


def test_a_module_that_is_no_target_is_named() -> None:
    with pytest.raises(SystemExit, match=r"nothing\.py is none of .*api/content/reading\.py"):
        targets(["nothing.py"])
    assert any("mover" in pattern for pattern in TARGETS)
