"""What the API reference cannot see in the sources.

The arguments of pydantic models, what a task returns, what a hook's method returns, and that a drawn tree is no prose.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from griffe import (
    Attribute,
    Class,
    Docstring,
    Expr,
    ExprSubscript,
    Extension,
    Function,
    Module,
    Parameter,
    ParameterKind,
    Parameters,
)

_MODELS = ("BaseModel", "pydantic.BaseModel")
_TREE = re.compile(r"^\S+\n(?:[│├└ ].*\n)+", re.MULTILINE)


# griffe is installed for `make docs` alone, so that its types are unknown here.
class PublicSignatures(Extension):  # type: ignore[misc]
    """Completes what the package's decorators and base classes make of its classes."""

    def on_package(self, *, pkg: Module, **_: Any) -> None:
        """Complete all modules and classes of the package."""
        for module in _modules(pkg):
            if module.docstring is not None:
                module.docstring = Docstring(_fenced(module.docstring.value), parent=module)
            for cls in module.classes.values():
                if not cls.is_alias:
                    _complete(cls)


def _modules(module: Module) -> Iterator[Module]:
    yield module
    for inner in module.modules.values():
        if not inner.is_alias:
            yield from _modules(inner)


def _fenced(text: str) -> str:
    return _TREE.sub(lambda tree: f"```text\n{tree[0]}```\n", text)


def _complete(cls: Class) -> None:
    if any(str(base) in _MODELS for base in cls.bases) and "__init__" not in cls.members:
        cls.set_member("__init__", _model_init(cls))
    if cls.docstring is not None and ":returns:" in cls.docstring.value:
        # The docstring of an operator says what its task returns: griffe looks for that type at the class.
        cls.annotation = _returned(cls)
    for method in cls.functions.values():
        if any(str(decorator.value) == "api_call" for decorator in method.decorators):
            method.returns = _response(method.returns)


def _returned(cls: Class) -> Any:
    method = cls.members.get("execute")
    return method.returns if isinstance(method, Function) else None


def _model_init(cls: Class) -> Function:
    fields = [
        Parameter(field.name, annotation=field.annotation, kind=ParameterKind.keyword_only, default=field.value)
        for field in cls.members.values()
        if isinstance(field, Attribute) and field.annotation is not None and "property" not in field.labels
    ]
    itself = Parameter("self", annotation=None, kind=ParameterKind.positional_or_keyword, default=None)
    return Function("__init__", parameters=Parameters(itself, *fields), returns="None", parent=cls)


def _response(request: Any) -> Any:
    """What a request type is answered with: the parameter of its base `Request[…]`."""
    found = request
    while isinstance(found, Expr) and not isinstance(found, ExprSubscript):
        module, _, name = found.canonical_path.rpartition(".")
        found = request.parent.package[module.partition(".")[2]][name].bases[0]
    return found.slice
