"""What may be asked for: what is always true, and the documented limits of the models they belong to.

Sources: the official OpenAPI description and the model pages of the hosted API, which gateways still copy. Every other
model has limits of its own, which only its server knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from airflow_provider_sora.exceptions import SoraConfigError

PROMPT_CHARACTERS = 32_000
NAME_CHARACTERS = 80
CHARACTERS_PER_VIDEO = 2
EXTENSIONS_PER_VIDEO = 6
EXTENDED_SECONDS = 120
CREATE_SECONDS = ("4", "8", "12")
EXTEND_SECONDS = ("4", "8", "12", "16", "20")
_SIZES = ("720x1280", "1280x720", "1024x1792", "1792x1024")
_PRO_SIZES = (*_SIZES, "1080x1920", "1920x1080")


def is_sora(model: object) -> bool:
    """Whether a model is one whose limits are documented: sora-2, sora-2-pro and their dated snapshots."""
    return isinstance(model, str) and re.fullmatch(r"sora-2(-pro)?(-\d{4}-\d\d-\d\d)?", model) is not None


def check_create(
    *, model: Any = None, prompt: Any = None, seconds: Any = None, size: Any = None, characters: Any = None
) -> None:
    """Check the fields of a create call; None is a field that is not known yet.

    :raises SoraConfigError: naming field, value and what is allowed
    """
    check_prompt(prompt, model)
    check_seconds(seconds, model, CREATE_SECONDS)
    if size == "":
        raise SoraConfigError("size is ''; leave it out for the server's own")
    if is_sora(model):
        sizes = _PRO_SIZES if model.startswith("sora-2-pro") else _SIZES
        if size is not None and size not in sizes:
            raise SoraConfigError(f"size is {size!r}; {model} has {', '.join(sizes)}")
        if characters is not None and len(characters) > CHARACTERS_PER_VIDEO:
            raise SoraConfigError(f"characters has {len(characters)}; {model} takes {CHARACTERS_PER_VIDEO} at most")


def check_prompt(prompt: Any, model: Any = None) -> None:
    """Check a prompt; its length is limited only for models that say so.

    :raises SoraConfigError: it is empty or too long
    """
    if prompt is None:
        return
    if not isinstance(prompt, str) or not prompt.strip():
        raise SoraConfigError(f"prompt is {prompt!r}; it has to be some text")
    if is_sora(model) and len(prompt) > PROMPT_CHARACTERS:
        raise SoraConfigError(f"prompt has {len(prompt)} characters; {model} takes {PROMPT_CHARACTERS} at most")


def check_seconds(seconds: Any, model: Any, allowed: Iterable[str]) -> None:
    """Check a length in seconds: a number above 0, for models that say so one of `allowed`.

    :raises SoraConfigError: it is not
    """
    if seconds is None:
        return
    text = f"{seconds:g}" if isinstance(seconds, float) else str(seconds)
    if isinstance(seconds, bool) or not re.fullmatch(r"\d+(\.\d+)?", text) or float(text) <= 0:
        raise SoraConfigError(f"seconds is {seconds!r}; it has to be a number above 0")
    if is_sora(model) and text not in tuple(allowed):
        raise SoraConfigError(f"seconds is {seconds!r}; {model} has {', '.join(allowed)}")


def check_extension(*, model: Any, source_seconds: Any, seconds: Any, steps: int) -> None:
    """Check a row of extensions against what a video may grow to.

    :param source_seconds: length of the video it starts from, where that is known
    :raises SoraConfigError: there are too many, or the result would be too long
    """
    check_seconds(seconds, model, EXTEND_SECONDS)
    if not is_sora(model):
        return
    if steps > EXTENSIONS_PER_VIDEO:
        raise SoraConfigError(
            f"prompt has {steps} extensions; {model} takes {EXTENSIONS_PER_VIDEO} for a video at most"
        )
    if source_seconds is not None and seconds is not None:
        total = float(source_seconds) + steps * float(seconds)
        if total > EXTENDED_SECONDS:
            raise SoraConfigError(f"the video would be {total:g} s long; {model} goes up to {EXTENDED_SECONDS} s")


def check_name(name: Any) -> None:
    """Check a character's name.

    :raises SoraConfigError: it is empty or too long
    """
    if name is not None and not (isinstance(name, str) and 1 <= len(name) <= NAME_CHARACTERS):
        raise SoraConfigError(f"name is {name!r}; it has to be 1 to {NAME_CHARACTERS} characters")
