"""Checks of a request's values: rules for every model, and the documented limits of the models that have them.

Sources: the official OpenAPI description and the model pages of the hosted API, which gateways still copy. The
limits of other models are left to their servers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.masking import quoted

PROMPT_CHARACTERS = 32_000
NAME_CHARACTERS = 80
CHARACTERS_PER_VIDEO = 2
EXTENSIONS_PER_VIDEO = 6
EXTENDED_SECONDS = 120
CREATE_SECONDS = ("4", "8", "12")
EXTEND_SECONDS = ("4", "8", "12", "16", "20")
_SIZES = ("720x1280", "1280x720", "1024x1792", "1792x1024")
_MAX_DEPTH = 100  # of nested values that are checked
_PRO_SIZES = (*_SIZES, "1080x1920", "1920x1080")


def is_sora(model: object) -> bool:
    """Whether the limits of a model are documented: sora-2, sora-2-pro and their dated snapshots."""
    return isinstance(model, str) and re.fullmatch(r"sora-2(-pro)?(-\d{4}-\d\d-\d\d)?", model) is not None


def check_create(
    *, model: Any = None, prompt: Any = None, seconds: Any = None, size: Any = None, characters: Any = None
) -> None:
    """Check the fields of a create call; None stands for a value that is not known yet.

    :raises SoraConfigError: a field is invalid; names the field, its value and what is allowed
    """
    check_prompt(prompt, model)
    check_seconds(seconds, model, CREATE_SECONDS)
    check_size(size)
    if is_sora(model):
        sizes = _PRO_SIZES if model.startswith("sora-2-pro") else _SIZES
        if size is not None and size not in sizes:
            raise SoraConfigError(f"size is {quoted(size)}; {model} has {', '.join(sizes)}")
        if isinstance(characters, list | tuple) and len(characters) > CHARACTERS_PER_VIDEO:
            raise SoraConfigError(f"characters has {len(characters)}; {model} takes {CHARACTERS_PER_VIDEO} at most")


def check_size(size: Any) -> None:
    """Check a size, where it is in pixels; servers have other names for sizes, too.

    :raises SoraConfigError: the size is empty, or one of its sides is 0 or has more than five digits
    """
    if size == "":
        raise SoraConfigError("size is ''; leave it out for the server's default")
    is_pixels = isinstance(size, str) and re.fullmatch(r"[0-9]+[xX*\u00d7][0-9]+", size)
    sides = re.findall(r"[0-9]+", size) if is_pixels else []
    if any(len(side) > 5 or not int(side) for side in sides):
        raise SoraConfigError(f"size is {quoted(size)}; each side has to be 1 to 99999 pixels")


def check_json(name: str, value: Any) -> None:
    """Check that a field can be sent as JSON.

    :raises SoraConfigError: the value cannot be written as JSON
    """
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise SoraConfigError(f"{name} is {quoted(value)}, which cannot be sent as JSON: {error}") from None


def check_parameters(parameters: Any) -> None:
    """Check further fields while the DAG is parsed, except for values that a template or another task provides.

    :raises SoraConfigError: they are not a JSON object
    """
    if parameters is None or isinstance(parameters, str) or _comes_later(parameters):
        return
    if not isinstance(parameters, dict) or not all(isinstance(name, str) for name in parameters):
        raise SoraConfigError(f"parameters is {quoted(parameters)}; it has to be a dict of fields by their names")
    for name, value in parameters.items():
        check_json(f"parameters: {name}", _known(value, 0))


def _comes_later(value: Any) -> bool:
    """Whether Airflow provides the value when the task runs: a task's output, a DAG's parameter, a literal."""
    return hasattr(value, "iter_references") and hasattr(value, "resolve")


def _known(value: Any, depth: int) -> Any:
    """A value, with None for the parts that Airflow provides later."""
    if _comes_later(value):
        return None
    if isinstance(value, dict) and depth < _MAX_DEPTH:
        return {key: _known(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple) and depth < _MAX_DEPTH:
        return [_known(item, depth + 1) for item in value]
    return value


def check_prompt(prompt: Any, model: Any = None) -> None:
    """Check a prompt; its length is limited only for models with documented limits.

    :raises SoraConfigError: the prompt is empty or too long
    """
    if prompt is None:
        return
    if not isinstance(prompt, str) or not prompt.strip():
        raise SoraConfigError(f"prompt is {quoted(prompt)}; it has to be a non-empty string")
    if is_sora(model) and len(prompt) > PROMPT_CHARACTERS:
        raise SoraConfigError(f"prompt has {len(prompt)} characters; {model} takes {PROMPT_CHARACTERS} at most")


def check_seconds(seconds: Any, model: Any, allowed: Iterable[str]) -> None:
    """Check a length in seconds: a number above 0; for models with documented limits, one of `allowed`.

    :raises SoraConfigError: the length is invalid
    """
    if seconds is None:
        return
    text = f"{seconds:g}" if isinstance(seconds, float) else seconds if isinstance(seconds, str) else quoted(seconds)
    if isinstance(seconds, bool) or not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text) or float(text) <= 0:
        raise SoraConfigError(f"seconds is {quoted(seconds)}; it has to be a number above 0")
    if is_sora(model) and text not in tuple(allowed):
        raise SoraConfigError(f"seconds is {quoted(seconds)}; {model} has {', '.join(allowed)}")


def check_extension(*, model: Any, source_seconds: Any, seconds: Any, steps: int) -> None:
    """Check a sequence of extensions of one video.

    :param source_seconds: length of the original video, where it is known
    :raises SoraConfigError: there are too many, or the result would be too long
    """
    check_seconds(seconds, model, EXTEND_SECONDS)
    check_seconds(source_seconds, None, ())
    if not is_sora(model):
        return
    if steps > EXTENSIONS_PER_VIDEO:
        raise SoraConfigError(
            f"prompt has {steps} extensions; {model} takes {EXTENSIONS_PER_VIDEO} for a video at most"
        )
    if source_seconds is not None and seconds is not None:
        total = float(source_seconds) + steps * float(seconds)
        if total > EXTENDED_SECONDS:
            raise SoraConfigError(f"the video would be {total:g} s long; {model} allows {EXTENDED_SECONDS} s")


def check_name(name: Any) -> None:
    """Check a character's name.

    :raises SoraConfigError: the name is empty or too long
    """
    if name is not None and not (isinstance(name, str) and 1 <= len(name) <= NAME_CHARACTERS):
        raise SoraConfigError(f"name is {quoted(name)}; it has to be 1 to {NAME_CHARACTERS} characters")
