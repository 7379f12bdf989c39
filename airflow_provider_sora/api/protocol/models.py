"""The objects in responses, parsed tolerantly.

Field names, units and meanings follow the official OpenAPI description of the Videos API. Servers leave fields out, set
them to null or "", and use types and statuses of their own: a field that cannot be parsed never fails a job.
"""

from __future__ import annotations

import json
import math
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from airflow_provider_sora.exceptions import SoraResponseError
from airflow_provider_sora.masking import masked, masked_start

ModelT = TypeVar("ModelT", bound=BaseModel)

_SHOWN_BYTES = 65_536  # of a body, from which a message may quote


class VideoStatus(StrEnum):
    """The state of a job: the API's four statuses, and three that servers add."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    DELETED = "deleted"

    @property
    def is_running(self) -> bool:
        """Whether the job may still become a video."""
        return self in (VideoStatus.QUEUED, VideoStatus.IN_PROGRESS)


# What servers call a status in place of the API's own word. The emulator has the same words as `status_words` of its
# dialects (`emulator/dialects`, which says how a server is added); neither imports the other.
_SYNONYMS = {
    "pending": VideoStatus.QUEUED,
    "succeeded": VideoStatus.COMPLETED,
    "success": VideoStatus.COMPLETED,
    "canceled": VideoStatus.CANCELLED,
}


def read_status(value: object) -> VideoStatus:
    """A status as any server spells it; an unknown one counts as still running."""
    word = str(value or "").strip().lower()
    if word in _SYNONYMS:
        return _SYNONYMS[word]
    try:
        return VideoStatus(word)
    except ValueError:
        return VideoStatus.IN_PROGRESS


def _text(value: object) -> str | None:
    return None if value is None or value == "" else str(value)


def _number(value: object) -> float | None:
    try:
        return float(str(value).rstrip("% "))
    except ValueError:
        return None


def _unix_seconds(value: object) -> int | None:
    if isinstance(value, str) and "-" in value:
        try:
            moment = datetime.fromisoformat(value)
            return int(moment.timestamp()) if moment.tzinfo else None  # without a zone it may be off by half a day
        except ValueError:
            return None
    number = _number(value)
    return int(number) if number is not None and math.isfinite(number) else None


Text = Annotated[str | None, BeforeValidator(_text)]
UnixSeconds = Annotated[int | None, BeforeValidator(_unix_seconds)]


class VideoError(BaseModel):
    """Why a job failed.

    :param http_status: the HTTP status of the response, where the failed job was in the body of an error
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    code: str = "unknown"
    message: str = ""
    http_status: int | None = None

    @model_validator(mode="before")
    @classmethod
    def _any_shape(cls, value: object) -> object:
        if not isinstance(value, dict):
            return {"message": str(value)}
        code = _text(value.get("code")) or _text(value.get("type")) or "unknown"
        return {"code": code, "message": _text(value.get("message")) or ""}


class Video(BaseModel):
    """A video job. Times are unix seconds; ``seconds`` is text, as the API has it; ``progress`` is 0 to 100."""

    model_config = ConfigDict(frozen=True, extra="allow")

    id: str = Field(min_length=1, coerce_numbers_to_str=True)
    status: Annotated[VideoStatus, BeforeValidator(read_status)]
    raw_status: str = ""
    model: Text = None
    progress: Annotated[float | None, BeforeValidator(_number)] = None
    created_at: UnixSeconds = None
    completed_at: UnixSeconds = None
    expires_at: UnixSeconds = None
    prompt: Text = None
    seconds: Text = None
    size: Text = None
    remixed_from_video_id: Text = None
    error: VideoError | None = None

    @model_validator(mode="before")
    @classmethod
    def _keep_raw_status(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {**value, "raw_status": str(value.get("status") or ""), "error": value.get("error") or None}


class VideoPage(BaseModel):
    """One page of the list; the next one starts after ``last_id``.

    :param states_more: whether the page states if more follow; SGLang's pages do not
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    data: tuple[Video, ...]
    last_id: Text = None
    has_more: bool = False
    states_more: bool = False

    @model_validator(mode="before")
    @classmethod
    def _null_is_no(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        more = value.get("has_more")
        return {**value, "has_more": bool(more), "states_more": more is not None}


class Character(BaseModel):
    """A character made from a video; a server may leave id and name null."""

    model_config = ConfigDict(frozen=True, extra="allow")

    id: Text = None
    name: Text = None
    created_at: UnixSeconds = None


def parse_json(body: bytes) -> Any:
    """The JSON value of a body; None where it is not JSON, or nested too deeply to be parsed."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def read_model(model: type[ModelT], call: str, body: bytes) -> ModelT:
    """Parse a body as `model`.

    :raises SoraResponseError: the body has another form; names the call and quotes the beginning of the body
    """
    try:
        return model.model_validate(parse_json(body))
    except ValidationError as error:
        details = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in error.errors()[:3])
        raise SoraResponseError(
            f"the response to {call} is not a {model.__name__} ({details}): {shorten(body)}"
        ) from None


def find_failed_video(body: bytes, http_status: int | None = None) -> Video | None:
    """The failed job in the body of an error.

    vLLM-Omni responds with 500 or 400 and the whole Video; LiteLLM puts that JSON, as text, into ``error.message``.
    """
    video = _find_failed_video(body)
    if video is None or http_status is None:
        return video
    error = (video.error or VideoError()).model_copy(update={"http_status": http_status})
    return video.model_copy(update={"error": error})


def _find_failed_video(body: bytes) -> Video | None:
    for candidate in _json_objects(parse_json(body)):
        if "id" in candidate and "status" in candidate and not read_status(candidate["status"]).is_running:
            try:
                video = Video.model_validate(candidate)
            except ValidationError:
                continue
            if video.status is not VideoStatus.COMPLETED:
                return video
    return None


def _json_objects(payload: object) -> list[dict[str, Any]]:
    if not isinstance(payload, dict):
        return []
    error = payload.get("error")
    message = error.get("message") if isinstance(error, dict) else error
    return [payload, *_objects_in_text(message)]


def _objects_in_text(text: object) -> list[dict[str, Any]]:
    if not isinstance(text, str) or "{" not in text:
        return []
    try:
        value, _ = json.JSONDecoder().raw_decode(text, text.index("{"))
    except ValueError:
        return []
    return [value] if isinstance(value, dict) else []


def shorten(body: bytes, limit: int = 300) -> str:
    """The beginning of a body as one line of a message; masked before it is cut, as a cut secret is not recognized."""
    text = " ".join(body[:_SHOWN_BYTES].decode("utf-8", "replace").split())
    text = masked_start(text) if len(body) > _SHOWN_BYTES else masked(text)
    return text if len(text) <= limit else text[:limit] + "…"
