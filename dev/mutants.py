"""Plants defects into a module, one at a time, and reports those that its tests do not detect.

    make mutants
    make mutants ARGS="--only transfers/mover.py --sample 40 --seed 1"

Each mutant runs in a fork of a process that has everything imported but this package: the tests then import the
package, with the defect in it. A mutant is killed by a test that fails or takes too long.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import io
import os
import random
import select
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from dev.equivalent_mutants import EQUIVALENT
from dev.mutations import Mutation, mutations

ROOT = Path(__file__).parent.parent
PACKAGE = "airflow_provider_sora"
LEAST_PERCENT = 95.0
_SUBMISSION = (
    *("claims", "record", "snapshot", "matching", "submit", "siblings", "clear", "resend", "reconnect", "lookup"),
    *("reattach", "search", "log", "model_defects", "prompts", "model"),
)
_DECISIONS = "tests/api/decisions/test_"
_POLLER = "tests/api/poller/test_"
_CONTENT = "tests/api/content/test_"

# For each module its tests, the quickest first.
TARGETS: dict[str, tuple[str, ...]] = {
    "submission/*.py": tuple(f"tests/submission/test_{name}.py" for name in _SUBMISSION),
    **{
        f"api/decisions/{module}.py": (*(f"{_DECISIONS}{name}.py" for name in tests.split()), *more)
        for module, tests, more in (
            ("acceptance", "acceptance", ()),
            ("intervals", "intervals numbers", ()),
            ("poll_failures", "poll_failures polling", ()),
            ("retry", "numbers polling", ("tests/api/test_client.py",)),
            ("polling", "numbers polling", (f"{_POLLER}tracker.py", "tests/api/test_client.py")),
        )
    },
    # Each module by itself: the tests of the complete poller take half a minute.
    **{
        f"api/poller/{module}.py": tuple(f"{_POLLER}{name}.py" for name in tests.split())
        for module, tests in (
            ("schedule", "schedule tracker session"),
            ("waiters", "waiters single_reader"),
            ("waiter", "waiters tracker single_reader list_reader"),
            ("tracker", "tracker single_reader list_reader"),
            ("list_reader", "list_reader"),
            ("single_reader", "single_reader"),
            ("gone_check", "gone_check"),
            ("list_strategy", "list_strategy list_reader tracker"),
            ("session", "session poller"),
            ("poller", "poller faults"),
        )
    },
    "api/content/*.py": tuple(f"{_CONTENT}{name}.py" for name in ("containers", "reading", "resume", "throughput")),
    "transfers/mover.py": tuple(
        f"tests/transfers/test_{name}.py" for name in ("mover", "mover_verification", "existing")
    ),
    "transfers/existing.py": ("tests/transfers/test_existing.py",),
    "transfers/object_metadata.py": ("tests/transfers/test_object_metadata.py",),
    "transfers/s3_store.py": tuple(
        f"tests/transfers/test_s3_{name}.py" for name in ("store", "checksums", "completion")
    ),
    "transfers/gcs_store.py": ("tests/transfers/test_gcs_store.py",),
    "transfers/file_store.py": ("tests/transfers/test_file_store.py",),
}


@dataclass(frozen=True)
class CheckedModule:
    """A module, by its path below the package, and its tests."""

    path: str
    tests: tuple[str, ...]

    @property
    def file(self) -> Path:
        return ROOT / PACKAGE / self.path

    @property
    def module(self) -> str:
        name = f"{PACKAGE}.{self.path.removesuffix('.py').replace('/', '.')}"
        return name.removesuffix(".__init__")


@dataclass
class Score:
    """How many mutants of a module were killed, and which were not."""

    killed: int
    survivors: list[Mutation]

    @property
    def percent(self) -> float:
        count = self.killed + len(self.survivors)
        return 100.0 * self.killed / count if count else 100.0


def targets(only: Sequence[str]) -> list[CheckedModule]:
    """The modules, or those of them that `only` names."""
    found = [
        CheckedModule(str(file.relative_to(ROOT / PACKAGE)), tests)
        for pattern, tests in TARGETS.items()
        for file in sorted((ROOT / PACKAGE).glob(pattern))
    ]
    unknown = [name for name in only if not any(name in target.path for target in found)]
    if unknown:
        raise SystemExit(f"{', '.join(unknown)} is none of {', '.join(target.path for target in found)}")
    return [target for target in found if not only or any(name in target.path for name in only)]


def candidates(target: CheckedModule) -> list[Mutation]:
    """The mutants of a module that a test could notice.

    :raises SystemExit: the list of equivalent mutants names a line that is no longer there
    """
    found = list(mutations(target.file.read_text()))
    known = EQUIVALENT.get(target.path, {})
    gone = set(known) - {_key(mutation) for mutation in found}
    if gone:
        raise SystemExit(f"dev/equivalent_mutants.py: {target.path} has no mutant {' or '.join(map(repr, gone))}")
    return [mutation for mutation in found if _key(mutation) not in known]


def _key(mutation: Mutation) -> tuple[str, str]:
    return mutation.text, mutation.what


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports a module with a defect in place of the one on disk."""

    def __init__(self, target: CheckedModule, tree: ast.Module) -> None:
        self._target = target
        self._tree = tree

    def find_spec(self, fullname: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._target.module:
            return None
        file = self._target.file
        package = [str(file.parent)] if file.name == "__init__.py" else None
        return importlib.util.spec_from_file_location(fullname, file, loader=self, submodule_search_locations=package)

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._tree, str(self._target.file), "exec"), module.__dict__)  # noqa: S102


def passes(target: CheckedModule, tree: ast.Module, within_seconds: float) -> bool:
    """Whether the tests pass, in a fork of this process, with this in place of the module."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.setsid()  # so that all processes that the tests start can be ended with them
        os.close(reader)
        _run_tests(target, tree, writer)
    os.close(writer)
    try:
        ready, _, _ = select.select([reader], [], [], within_seconds)
        return bool(ready) and os.read(reader, 1) == b"1"
    finally:
        os.close(reader)
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _run_tests(target: CheckedModule, tree: ast.Module, writer: int) -> None:
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silence, stream)
    passed = False
    try:
        sys.meta_path.insert(0, _Finder(target, tree))
        # pytest would rewrite the asserts of this package, as of any that has a plugin, from its files.
        options = ["--assert=plain", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "--hypothesis-seed=1"]
        passed = pytest.main([*options, *target.tests]) == pytest.ExitCode.OK
    finally:
        os.write(writer, b"1" if passed else b"0")
        os._exit(0)


def import_libraries(target: CheckedModule) -> None:
    """Import what the tests import, and remove this package and the tests from the imported modules again."""
    with contextlib.redirect_stdout(io.StringIO()):
        pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider", *target.tests])
    for name in list(sys.modules):
        if name.partition(".")[0] in (PACKAGE, "tests"):
            del sys.modules[name]


def judge(target: CheckedModule, chosen: list[Mutation]) -> Score:
    """Run the tests of a module with each of these defects."""
    import_libraries(target)
    begun = time.monotonic()
    if not passes(target, ast.parse(target.file.read_text()), 600):
        raise SystemExit(f"The tests of {target.path} fail without any defect: {' '.join(target.tests)}")
    within = 10 + 4 * (time.monotonic() - begun)
    score = Score(0, [])
    for mutation in chosen:
        if passes(target, mutation.tree, within):
            score.survivors.append(mutation)
            print(f"  survived {target.path}:{mutation.line}: {mutation.what}: {mutation.text}", flush=True)
        else:
            score.killed += 1
    return score


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge all targets; 1 where too few mutants were killed."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", action="append", default=[], help="only modules whose path has this in it")
    parser.add_argument("--sample", type=int, help="only so many mutants of each module, chosen at random")
    parser.add_argument("--seed", type=int, default=0, help="another choice")
    options = parser.parse_args(arguments)
    scores = []
    for target in targets(options.only):
        chosen = candidates(target)
        if options.sample is not None and options.sample < len(chosen):
            chosen = random.Random(options.seed).sample(chosen, options.sample)  # noqa: S311
        begun = time.monotonic()
        score = judge(target, chosen)
        scores.append(score)
        seconds = time.monotonic() - begun
        print(f"{target.path}: {score.killed} of {len(chosen)} killed ({score.percent:.1f} %) in {seconds:.0f} s")
    total = Score(sum(score.killed for score in scores), [one for score in scores for one in score.survivors])
    count = total.killed + len(total.survivors)
    print(f"{total.percent:.1f} % of {count} mutants killed, at least {LEAST_PERCENT:g} % are required")
    return int(total.percent < LEAST_PERCENT)


if __name__ == "__main__":
    sys.exit(main())
