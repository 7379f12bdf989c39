"""What all transfer operators share: which videos, which variants, which keys."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

from airflow.providers.common.compat.sdk import BaseOperator, Context

from airflow_provider_sora.api.requests import DownloadContent, Variant
from airflow_provider_sora.exceptions import SoraConfigError, SoraContentExpiredError
from airflow_provider_sora.hooks.sora import DEFAULT_CONN_ID, SoraHook, build
from airflow_provider_sora.manifest import VideoManifest
from airflow_provider_sora.operators.base import failing_fast
from airflow_provider_sora.transfers.keys import check_key, fill_key
from airflow_provider_sora.transfers.stream import ContentStream

VideoRef = str | Mapping[str, Any]


@dataclass(frozen=True)
class StoredFile:
    """One file in storage: where, how many bytes, which type, SHA-256 in hex."""

    video_id: str
    variant: str
    uri: str
    size_bytes: int
    content_type: str
    sha256: str


class SoraTransferOperator(BaseOperator):
    """Moves the content of finished videos into storage.

    :param video: a video's id, its manifest (what a create task returns), or a list of either
    :param variants: what to move: ``video``, ``thumbnail``, ``spritesheet``
    :param sora_conn_id: the server's connection; default: the manifest's own, or ``sora_default`` for an id
    :returns: a list with one `StoredFile` as a dict for each video and variant
    :raises SoraContentError: what came is not whole, or not a video; nothing is visible in storage then
    """

    template_fields: Sequence[str] = ("video", "sora_conn_id")
    ui_color = "#d7eef5"

    def __init__(
        self,
        *,
        video: VideoRef | Sequence[VideoRef],
        variants: Sequence[Variant] = ("video",),
        sora_conn_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.video = video
        self.variants = _variants(variants)
        self.sora_conn_id = sora_conn_id

    def execute(self, context: Context) -> list[dict[str, Any]]:  # noqa: ARG002 - Airflow's signature
        """Move each variant of each video."""
        with failing_fast():
            videos = self._videos()
            check_key(self.key_template(), self.variants, videos=len(videos))
            for video in videos:
                _check_expiry(video)
            return [asdict(self._move(video, variant)) for video in videos for variant in self.variants]

    @abstractmethod
    def key_template(self) -> str:
        """The rendered template of the files' keys."""

    @abstractmethod
    def store(self, stream: ContentStream, key: str) -> str:
        """Write a stream under `key`, visible only once it has been read to its end; returns the URI."""

    def _move(self, video: VideoManifest, variant: Variant) -> StoredFile:
        request = build(DownloadContent, video_id=video.id, variant=variant)
        with SoraHook(video.conn_id) as hook, ContentStream(hook.get_conn().read_content(request)) as stream:
            key = fill_key(self.key_template(), video.id, variant, stream.content_type)
            uri = self.store(stream, key)
            content = stream.content
        self.log.info("Video %s: %s stored, %s bytes at %s", video.id, variant, content.size_bytes, uri)
        return StoredFile(video.id, variant, uri, content.size_bytes, content.content_type, content.sha256)

    def _videos(self) -> list[VideoManifest]:
        given: object = self.video  # whatever a template or another task made of it
        several = isinstance(given, Iterable) and not isinstance(given, str | Mapping)
        return [self._manifest(ref) for ref in (given if several else [given])]  # type: ignore[attr-defined]

    def _manifest(self, ref: object) -> VideoManifest:
        if isinstance(ref, Mapping):
            manifest = VideoManifest.parse(ref)
            return manifest.model_copy(update={"conn_id": self.sora_conn_id}) if self.sora_conn_id else manifest
        if not isinstance(ref, str) or not ref or ref.lstrip().startswith("{"):
            raise SoraConfigError(
                f"video is {str(ref)[:100]!r}; it has to be an id, a manifest, or a list of them. A manifest in a "
                "Jinja text loses its type: pass `create_task.output` instead"
            )
        return VideoManifest(id=ref, status="completed", conn_id=self.sora_conn_id or DEFAULT_CONN_ID)


def _check_expiry(video: VideoManifest) -> None:
    if video.expires_at and video.expires_at <= time.time():
        raise SoraContentExpiredError(
            f"the content of video {video.id} expired at {video.expires_at} (unix seconds): it is no longer kept"
        )


def _variants(values: Sequence[str]) -> tuple[Variant, ...]:
    allowed: tuple[Variant, ...] = get_args(Variant)
    wanted = (values,) if isinstance(values, str) else tuple(values)
    unknown = [value for value in wanted if value not in allowed]
    if unknown or not wanted:
        raise SoraConfigError(f"variants is {values!r}; it has to be one or more of {', '.join(allowed)}")
    return tuple(variant for variant in allowed if variant in wanted)
