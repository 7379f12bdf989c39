"""The base of all transfer operators: their common arguments, checked, and the run over all videos."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, Literal, get_args

from airflow_provider_sora.api.protocol.requests import Variant
from airflow_provider_sora.compat import BaseOperator, Context
from airflow_provider_sora.exceptions import SoraConfigError, SoraTransferError
from airflow_provider_sora.hooks.sora import DEFAULT_CONN_ID, SoraHook
from airflow_provider_sora.manifest import VideoManifest
from airflow_provider_sora.masking import quoted
from airflow_provider_sora.tasks.failures import fail_without_retry
from airflow_provider_sora.tasks.retry import use_retry_policy
from airflow_provider_sora.transfers.existing import IfExists, StoredFile
from airflow_provider_sora.transfers.keys import check_template, safe_slug
from airflow_provider_sora.transfers.lineage import add_hook_lineage, add_outlet_events, operator_lineage
from airflow_provider_sora.transfers.mover import Mover, VideoToMove
from airflow_provider_sora.transfers.pipeline import PartPool
from airflow_provider_sora.transfers.store import Store

VideoRef = str | Mapping[str, Any]
PART_BYTES = 8 * 1024 * 1024


class SoraTransferOperator(BaseOperator):
    """Moves the content of finished videos to storage. A file becomes visible there once it is complete.

    Memory is bounded by ``part_size_bytes * (part_concurrency + 1)``, however large and many the videos are.

    :param video: a video's id, its manifest (what a create task returns), or a list of either
    :param variants: what to move: ``video``, ``thumbnail``, ``spritesheet``
    :param optional_variants: those of `variants` that are skipped, with a line in the log, where the server has none
    :param slug: for ``{slug}`` in the key: a string, made safe for a path; for a list of videos, a list as long
    :param if_exists: where the key has a file already: ``replace`` it; ``skip`` it if it is this video by its object
        metadata (on a file system, by its content), and fail for any other file; ``fail``
    :param delete_after_transfer: delete a video on the server once all its variants are in storage and `verified`
    :param part_size_bytes: how many bytes one request uploads; a multiple of 256 KiB, at least 5 MiB
    :param part_concurrency: how many parts of a video are uploaded at once
    :param video_concurrency: how many videos are moved at once
    :param sora_conn_id: the server's connection; default: the manifest's own, or ``sora_default`` for an id
    :returns: a list with one `StoredFile` as a dict for each video and variant
    :raises SoraContentError: the content is incomplete, or not a video
    :raises SoraTargetExistsError: the key has a file already, and `if_exists` does not allow replacing it
    :raises SoraTransferError: some of several files were not moved; it names each
    """

    template_fields: Sequence[str] = ("video", "slug", "sora_conn_id")
    ui_color = "#d7eef5"

    _stop: threading.Event | None = None  # created when the task runs: Airflow copies operators
    _files: Sequence[dict[str, Any]] = ()

    def __init__(
        self,
        *,
        video: VideoRef | Sequence[VideoRef],
        variants: Sequence[Variant] = ("video",),
        optional_variants: Sequence[Variant] = (),
        slug: str | Sequence[str] | None = None,
        if_exists: IfExists = "replace",
        delete_after_transfer: bool = False,
        part_size_bytes: int = PART_BYTES,
        part_concurrency: int = 4,
        video_concurrency: int = 4,
        sora_conn_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        use_retry_policy(self)
        self.video = video
        self.variants = _variants(variants)
        self.optional_variants = _optional(optional_variants, self.variants)
        self.slug = slug
        self.if_exists = _if_exists(if_exists)
        self.delete_after_transfer = delete_after_transfer
        self.part_size_bytes = _part_size(part_size_bytes)
        self.part_concurrency = _count("part_concurrency", part_concurrency)
        self.video_concurrency = _count("video_concurrency", video_concurrency)
        self.sora_conn_id = sora_conn_id

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Move each variant of each video."""
        with fail_without_retry():
            files = [asdict(file) for file in self._move(self._videos())]
        add_outlet_events(context, self.outlets, files)
        add_hook_lineage(self, files)
        self._files = files
        return files

    def on_kill(self) -> None:
        """Stop the other threads too."""
        if self._stop is not None:
            self._stop.set()

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:  # noqa: ARG002 - OpenLineage's signature
        """The files as OpenLineage datasets."""
        return operator_lineage(self._files)

    @abstractmethod
    def key_template(self) -> str:
        """The rendered template of the files' keys.

        :raises SoraConfigError: an argument that names the destination is missing
        """

    def check_store(self) -> None:
        """Check the store's arguments before anything is read.

        :raises SoraConfigError: an argument is invalid
        """

    @abstractmethod
    def open_store(self) -> Store:
        """The store to write to; called on a separate thread."""

    def check_key_template(self, template: object) -> None:
        """Check a key template when the DAG is parsed.

        :raises SoraConfigError: it is invalid
        """
        check_template(template, self.variants, slug=self.slug is not None)

    def _move(self, videos: list[VideoToMove]) -> list[StoredFile]:
        template = self.key_template()
        check_template(template, self.variants, slug=self.slug is not None, videos=len(videos))
        self.check_store()
        hooks = {conn_id: SoraHook(conn_id) for conn_id in dict.fromkeys(video.manifest.conn_id for video in videos)}
        parts = PartPool(self.part_concurrency + 1, self.part_size_bytes)
        self._stop = stop = threading.Event()
        try:
            clients = {conn_id: hook.get_conn() for conn_id, hook in hooks.items()}
            # Building a cloud's client takes a while: the first bytes are downloaded meanwhile.
            with ThreadPoolExecutor(1, thread_name_prefix="sora-store") as opener:
                mover = Mover(
                    clients,
                    opener.submit(self.open_store).result,
                    template,
                    parts,
                    variants=self.variants,
                    optional=frozenset(self.optional_variants),
                    if_exists=self.if_exists,
                    delete=self.delete_after_transfer,
                    stop=stop,
                )
                return self._results(mover, videos, stop)
        finally:
            for hook in hooks.values():
                hook.close()

    def _results(self, mover: Mover, videos: list[VideoToMove], stop: threading.Event) -> list[StoredFile]:
        if len(videos) == 1:  # on this thread, which Airflow's execution_timeout interrupts
            results = [mover.move(videos[0])]
        else:
            with ThreadPoolExecutor(self.video_concurrency, thread_name_prefix="sora-video") as pool:
                try:
                    results = list(pool.map(mover.move, videos))
                except BaseException:
                    stop.set()
                    raise
        files = [file for moved, _ in results for file in moved]
        failures = [failure for _, failed in results for failure in failed]
        if failures:
            first = failures[0][1]
            raise first if len(failures) + len(files) == 1 else SoraTransferError(failures, len(files)) from first
        return files

    def _videos(self) -> list[VideoToMove]:
        given: object = self.video  # of any type: it may come from a template or another task
        several = isinstance(given, Iterable) and not isinstance(given, str | Mapping)
        manifests = [self._manifest(ref) for ref in (given if several else [given])]  # type: ignore[attr-defined]
        slugs = _slugs(self.slug, len(manifests))
        return [VideoToMove(manifest, slug) for manifest, slug in zip(manifests, slugs, strict=True)]

    def _manifest(self, ref: object) -> VideoManifest:
        if isinstance(ref, Mapping):
            manifest = VideoManifest.parse(ref)
            return manifest.model_copy(update={"conn_id": self.sora_conn_id}) if self.sora_conn_id else manifest
        if not isinstance(ref, str) or not ref or ref.lstrip().startswith("{"):
            raise SoraConfigError(
                f"video is {quoted(ref)}; it has to be an id, a manifest, or a list of them. A Jinja template turns a "
                "manifest into text: pass `create_task.output` instead"
            )
        return VideoManifest(id=ref, status="completed", conn_id=self.sora_conn_id or DEFAULT_CONN_ID)


def _several(values: Any) -> tuple[Any, ...]:
    return tuple(values) if isinstance(values, list | tuple | set | frozenset) else (values,)


def _variants(values: Sequence[str]) -> tuple[Variant, ...]:
    allowed: tuple[Variant, ...] = get_args(Variant)
    wanted = _several(values)
    unknown = [value for value in wanted if value not in allowed]
    if unknown or not wanted:
        raise SoraConfigError(f"variants is {values!r}; it has to be one or more of {', '.join(allowed)}")
    return tuple(variant for variant in allowed if variant in wanted)


def _optional(values: Sequence[str], variants: tuple[Variant, ...]) -> tuple[Variant, ...]:
    wanted = _several(values)
    allowed = tuple(variant for variant in variants if variant != "video")
    if any(value not in allowed for value in wanted):
        raise SoraConfigError(
            f"optional_variants is {values!r}; it may have those of `variants` ({', '.join(variants)}) other than video"
        )
    return tuple(variant for variant in allowed if variant in wanted)


def _if_exists(value: Any) -> IfExists:
    allowed: tuple[Literal["skip", "replace", "fail"], ...] = get_args(IfExists)
    for name in allowed:
        if value == name:
            return name
    raise SoraConfigError(f"if_exists is {value!r}; it has to be one of {', '.join(allowed)}")


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SoraConfigError(f"{name} is {value!r}; it has to be an integer of at least 1")
    return value


def _part_size(value: Any) -> int:
    least, step = 5 * 1024 * 1024, 256 * 1024  # S3's lower limit, and the unit of Google's parts
    if isinstance(value, bool) or not isinstance(value, int) or value < least or value % step:
        raise SoraConfigError(f"part_size_bytes is {value!r}; it has to be a multiple of {step}, at least {least}")
    return value


def _slugs(given: Any, count: int) -> list[str]:
    if given is None:
        return [""] * count
    texts = [given] * count if isinstance(given, str) else list(given) if isinstance(given, Iterable) else []
    if len(texts) != count or not all(isinstance(text, str) for text in texts):
        raise SoraConfigError(
            f"slug is {quoted(given)}; it has to be a string, or a list with one for each of {count} videos"
        )
    if count > 1 and isinstance(given, str):
        raise SoraConfigError(f"slug is {quoted(given)} for {count} videos: give a list with one for each")
    slugs = [safe_slug(text) for text in texts]
    twice = sorted({slug for slug in slugs if slugs.count(slug) > 1})
    if twice:
        raise SoraConfigError(f"slug is {quoted(given)}: two videos would have the slug {', '.join(twice)}")
    return slugs
