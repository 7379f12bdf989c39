"""One type per call of the Videos API: its fields, its path, how its response is parsed.

Paths and fields follow the official OpenAPI description. Fields that it does not name are kept and sent unchanged, so
that every parameter of a server (``seed``, ``fps``, ``negative_prompt`` ...) can be used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, Literal, Self, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from airflow_provider_sora.api.protocol.ids import Id, canonical_id
from airflow_provider_sora.api.protocol.models import (
    Character,
    Video,
    VideoPage,
    VideoStatus,
    find_failed_video,
    parse_json,
    read_model,
    read_status,
)
from airflow_provider_sora.api.protocol.validation import check_json
from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.masking import quoted

ResponseT = TypeVar("ResponseT")
Variant = Literal["video", "thumbnail", "spritesheet"]


@dataclass(frozen=True)
class InputFile:
    """A file to send: its bytes, a name with an extension, and its true content type."""

    content: bytes = field(repr=False)
    filename: str
    content_type: str


def _seconds_as_text(value: object) -> object:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return quoted(value) if isinstance(value, int | float) else value


Seconds = Annotated[str, BeforeValidator(_seconds_as_text), Field(pattern=r"^[0-9]{1,9}(\.[0-9]{1,9})?$")]
Prompt = Annotated[str, Field(min_length=1)]
Reference = dict[str, str]


def _describe(error: Any) -> str:
    """One of pydantic's errors, with the field and its value."""
    field, message = ".".join(map(str, error["loc"])), error["msg"].removeprefix("Value error, ")
    return f"{field} is {quoted(error['input'], 80)}: {message}" if field else message


class Request(BaseModel, Generic[ResponseT]):
    """A call of the API, whose response means a `ResponseT`.

    :cvar paid: the call costs money and must not be sent again unless the server cannot have accepted it
    :cvar always_form: the call is multipart on every server
    :cvar unsupported_hint: what to do on a server that does not offer the call
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    method: ClassVar[str] = "GET"
    paid: ClassVar[bool] = False
    always_form: ClassVar[bool] = False
    unsupported_hint: ClassVar[str] = ""

    if not TYPE_CHECKING:  # pragma: no branch - type checkers see the fields, by pydantic

        def __init__(self, /, **fields: Any) -> None:
            """Check the fields.

            :raises SoraConfigError: naming field, value and what is allowed
            """
            try:
                super().__init__(**fields)
            except ValidationError as error:
                details = "; ".join(map(_describe, error.errors(include_url=False)))
                raise SoraConfigError(f"{type(self).__name__}: {details}") from None

    @model_validator(mode="after")
    def _can_be_sent(self) -> Self:
        for name, value in self.fields().items():
            if not isinstance(value, InputFile):
                check_json(name, value)
        return self

    def path(self) -> str:
        """The path below the base URL, percent-encoded."""
        raise NotImplementedError

    def query(self) -> dict[str, str]:
        """The query parameters of this call, without those of the connection."""
        return {}

    def fields(self) -> dict[str, Any]:
        """The body's fields: JSON values, and `InputFile` for files. Empty: no body."""
        return {}

    def parse(self, body: bytes) -> ResponseT:
        """What a response with a status below 300 means, from its body.

        :raises SoraResponseError: the body is not a response to this call
        """
        raise NotImplementedError

    def parse_error_body(self, body: bytes, status_code: int) -> ResponseT | None:  # noqa: ARG002 - for subclasses
        """What the response means where the body of an error holds a result; otherwise None."""
        return None

    def __str__(self) -> str:
        return f"{self.method} {self.path()}"


class _VideoRequest(Request[Video]):
    """A call whose response is one video."""

    def parse(self, body: bytes) -> Video:
        return read_model(Video, str(self), body)

    def parse_error_body(self, body: bytes, status_code: int) -> Video | None:
        return find_failed_video(body, status_code)


class JobRequest(_VideoRequest):
    """A call that starts a job; unknown fields are sent unchanged."""

    model_config = ConfigDict(extra="allow")
    method: ClassVar[str] = "POST"
    paid: ClassVar[bool] = True
    in_path: ClassVar[frozenset[str]] = frozenset()

    prompt: Prompt

    def source_ids(self) -> tuple[str, ...]:
        """The ids of the videos that the new one is made from; none where it is made from a file."""
        source = self.video_id if isinstance(self, RemixVideo) else getattr(self, "video", None)
        if isinstance(source, dict):
            source = source.get("id")
        return (source,) if isinstance(source, str) else ()

    def fields(self) -> dict[str, Any]:
        return {name: value for name, value in self if value is not None and name not in self.in_path}


class CreateVideo(JobRequest):
    """``POST /videos``.

    :param size: ``"<width>x<height>"`` in pixels; some servers name sizes differently
    :param input_reference: an image to start from: a file, ``{"file_id": …}`` or ``{"image_url": …}``
    :param characters: ``[{"id": …}]``
    """

    model: str | None = None
    seconds: Seconds | None = None
    size: str | None = None
    input_reference: InputFile | Reference | None = None
    characters: list[Reference] | None = None

    def path(self) -> str:
        return "/videos"


class ExtendVideo(JobRequest):
    """``POST /videos/extensions``. `video` is ``{"id": …}`` or a file; `seconds` the length of the new segment."""

    unsupported_hint: ClassVar[str] = "create the longer video in one job, or use a server that offers extensions"

    video: InputFile | Reference
    seconds: Seconds | None = None

    def path(self) -> str:
        return "/videos/extensions"


class EditVideo(JobRequest):
    """``POST /videos/edits``. `video` is ``{"id": …}`` or a file."""

    unsupported_hint: ClassVar[str] = (
        "submit a new create whose prompt includes the change, or use a server that offers edits"
    )

    video: InputFile | Reference

    def path(self) -> str:
        return "/videos/edits"


class RemixVideo(JobRequest):
    """``POST /videos/{video_id}/remix``."""

    unsupported_hint: ClassVar[str] = "submit a new create, or use a server that offers remix"
    in_path: ClassVar[frozenset[str]] = frozenset({"video_id"})

    video_id: Id

    def path(self) -> str:
        return f"{_video_path(self.video_id)}/remix"


class CreateCharacter(Request[Character]):
    """``POST /videos/characters``. `video` is an MP4 of 2 to 4 seconds."""

    unsupported_hint: ClassVar[str] = (
        "start the video from an image (input_reference), or use a server that offers characters"
    )
    model_config = ConfigDict(extra="allow")
    method: ClassVar[str] = "POST"
    paid: ClassVar[bool] = True
    always_form: ClassVar[bool] = True

    name: str = Field(min_length=1)
    video: InputFile

    def path(self) -> str:
        return "/videos/characters"

    def fields(self) -> dict[str, Any]:
        return {name: value for name, value in self if value is not None}

    def parse(self, body: bytes) -> Character:
        return read_model(Character, str(self), body)


class GetCharacter(Request[Character]):
    """``GET /videos/characters/{character_id}``."""

    unsupported_hint: ClassVar[str] = "keep the response to the create call, or use a server that offers characters"

    character_id: Id

    def path(self) -> str:
        return f"/videos/characters/{quote(self.character_id, safe='')}"

    def parse(self, body: bytes) -> Character:
        return read_model(Character, str(self), body)


class RetrieveVideo(_VideoRequest):
    """``GET /videos/{video_id}``. The video keeps the requested id: gateways respond with ids of their own.

    A failed video in the body of an error counts only if it has the requested id: it may be any video.
    """

    video_id: Id

    def parse(self, body: bytes) -> Video:
        return super().parse(body).model_copy(update={"id": self.video_id})

    def parse_error_body(self, body: bytes, status_code: int) -> Video | None:
        video = super().parse_error_body(body, status_code)
        return video.model_copy(update={"id": self.video_id}) if video and self._is_requested(video) else None

    def _is_requested(self, video: Video) -> bool:
        return canonical_id(video.id) == canonical_id(self.video_id)

    def path(self) -> str:
        return _video_path(self.video_id)


class ListVideos(Request[VideoPage]):
    """``GET /videos``: at most `limit` videos, starting after the id `after`."""

    unsupported_hint: ClassVar[str] = "request videos by their id"

    limit: int | None = Field(default=None, ge=0, le=100)
    order: Literal["asc", "desc"] | None = None
    after: Id | None = None

    def path(self) -> str:
        return "/videos"

    def query(self) -> dict[str, str]:
        return {name: str(value) for name, value in self if value is not None}

    def parse(self, body: bytes) -> VideoPage:
        return read_model(VideoPage, str(self), body)


class DeleteVideo(Request[bool]):
    """``DELETE /videos/{video_id}``; means whether the server confirms that the video is deleted."""

    unsupported_hint: ClassVar[str] = "leave it to the server to delete the video, or delete it there"
    method: ClassVar[str] = "DELETE"

    video_id: Id

    def path(self) -> str:
        return _video_path(self.video_id)

    def parse(self, body: bytes) -> bool:
        payload = parse_json(body)
        if not isinstance(payload, dict):
            return True  # 204, or a body of another form: the status is enough
        if "deleted" in payload:
            return bool(payload["deleted"])
        return "status" not in payload or read_status(payload["status"]) is VideoStatus.DELETED


class DownloadContent(Request[None]):
    """``GET /videos/{video_id}/content``. Without a variant for the video itself: SGLang answers 404 to one."""

    video_id: Id
    variant: Variant = "video"

    def path(self) -> str:
        return f"{_video_path(self.video_id)}/content"

    def query(self) -> dict[str, str]:
        return {} if self.variant == "video" else {"variant": self.variant}


def _video_path(video_id: str) -> str:
    return f"/videos/{quote(video_id, safe='')}"
