from __future__ import annotations

import re

from airflow_provider_sora import exceptions


def test_the_tree_at_the_top_of_the_file_is_the_tree() -> None:
    drawn = re.findall(r"(Sora\w+Error|SoraError)\b", (exceptions.__doc__ or "").split("`retryable`")[0])
    defined = [name for name in vars(exceptions) if name.startswith("Sora")]
    assert sorted(drawn) == sorted(defined)


def test_indentation_in_the_tree_is_inheritance() -> None:
    stack: list[tuple[int, type[Exception]]] = []
    for line in (exceptions.__doc__ or "").splitlines():
        found = re.search(r"Sora\w+", line)
        if found is None or not re.match(r"^(Sora|[│├└ ])", line):
            continue
        kind = getattr(exceptions, found.group())
        while stack and stack[-1][0] >= found.start():
            stack.pop()
        if stack:
            assert kind.__bases__[0] is stack[-1][1], kind
        stack.append((found.start(), kind))
