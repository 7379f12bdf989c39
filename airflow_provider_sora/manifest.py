"""The small JSON value that represents a video in XCom, in events and between tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.masking import masked, quoted


class VideoManifest(BaseModel):
    """A video without its bytes and its prompt. Times are unix seconds, `seconds` is a string as in the API.

    :param conn_id: the Airflow connection of the server that has the video
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    status: str
    conn_id: str
    model: str | None = None
    seconds: str | None = None
    size: str | None = None
    created_at: int | None = None
    completed_at: int | None = None
    expires_at: int | None = None
    remixed_from_video_id: str | None = None

    @classmethod
    def of(cls, video: Video, conn_id: str) -> VideoManifest:
        """The manifest of a video on the server behind `conn_id`."""
        shown = video.model_dump(mode="json", include=set(cls.model_fields) - {"id"})
        texts = {name: masked(value) for name, value in shown.items() if isinstance(value, str)}
        return cls(id=video.id, conn_id=conn_id, **{**shown, **texts})

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> VideoManifest:
        """A manifest from XCom.

        :raises SoraConfigError: it is not a manifest
        """
        try:
            return cls.model_validate(dict(value))
        except ValidationError as error:
            details = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise SoraConfigError(
                f"not a video manifest ({details}): {quoted(value, 200)}. Pass what a create task returned, "
                "or a video id"
            ) from None

    def to_json(self) -> dict[str, Any]:
        """The manifest as plain JSON values."""
        return self.model_dump(mode="json")
