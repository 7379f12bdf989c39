"""The operators: one for each kind of job, one for characters, and one that deletes videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_sora.api.protocol import validation
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.api.protocol.requests import Request
from airflow_provider_sora.api.protocol.uploads import Fit
from airflow_provider_sora.compat import BaseOperator, Context
from airflow_provider_sora.exceptions import SoraConfigError, SoraError, SoraNotFoundError
from airflow_provider_sora.hooks.sora import DEFAULT_CONN_ID, SoraHook
from airflow_provider_sora.manifest import VideoManifest
from airflow_provider_sora.masking import masked, quoted
from airflow_provider_sora.operators.base import SoraJobOperator
from airflow_provider_sora.sources import (
    CharacterRef,
    FileSource,
    ImageSource,
    ReferenceAs,
    VideoRef,
    VideoSource,
    check_ids,
    video_id_of,
)
from airflow_provider_sora.tasks.arguments import constant, further_fields
from airflow_provider_sora.tasks.failures import fail_without_retry
from airflow_provider_sora.tasks.retry import use_retry_policy


class SoraCreateVideoOperator(SoraJobOperator):
    """Create a video from a prompt, optionally starting from an image.

    :param prompt: text prompt describing the video
    :param model: the model, as the server names it; default: the server's choice
    :param seconds: length of the video
    :param size: ``"<width>x<height>"`` in pixels
    :param input_reference: an image to start from: path, object storage URI, http(s) or data URL, bytes, or file id
    :param characters: ids, or what `SoraCreateCharacterOperator` returned; at most two for the models of the hosted API
    :param fit: how to bring the image to the size of the video: ``cover`` crops it, ``contain`` adds bars; with None an
        image of another size is an error
    :param reference_as: ``upload`` sends the image as a file, ``object`` as the API's reference object
    :param storage_conn_id: the connection of the storage that holds `input_reference`, if it needs one
    """

    template_fields: Sequence[str] = (
        *SoraJobOperator.template_fields,
        "prompt",
        "model",
        "seconds",
        "size",
        "input_reference",
        "characters",
        "storage_conn_id",
    )

    def __init__(
        self,
        *,
        prompt: str,
        model: str | None = None,
        seconds: str | float | None = None,
        size: str | None = None,
        input_reference: ImageSource | None = None,
        characters: Sequence[CharacterRef] | None = None,
        fit: Fit | None = None,
        reference_as: ReferenceAs = "upload",
        storage_conn_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.prompt = prompt
        self.model = model
        self.seconds = seconds
        self.size = size
        self.input_reference = input_reference
        self.characters = characters
        self.fit = fit
        self.reference_as = reference_as
        self.storage_conn_id = storage_conn_id
        validation.check_create(
            model=constant(model),
            prompt=constant(prompt),
            seconds=constant(seconds),
            size=constant(size),
            characters=constant(characters),
        )

    def build_request(self, hook: SoraHook, step: int, source: VideoManifest | None) -> Request[Video]:  # noqa: ARG002
        """The create request, with the image read."""
        named = {
            name: getattr(self, name) for name in ("model", "seconds", "size", "input_reference", "characters")
        } | {"prompt": self.prompt}
        return hook.create_video.build(
            **named,
            fit=self.fit,
            reference_as=self.reference_as,
            storage_conn_id=self.storage_conn_id,
            **further_fields(self.parameters, *named),
        )


class _FromVideoOperator(SoraJobOperator):
    """Starts from a completed video.

    :param video: a video's id, its manifest, or a file: a path, an object storage URI, an http(s) URL, bytes
    :param prompt: text prompt describing the result
    :param storage_conn_id: the connection of the storage that holds the file, if it needs one
    """

    template_fields: Sequence[str] = (*SoraJobOperator.template_fields, "video", "prompt", "storage_conn_id")

    def __init__(
        self, *, video: VideoSource, prompt: str | Sequence[str], storage_conn_id: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.video = video
        self.prompt: Any = prompt
        self.storage_conn_id = storage_conn_id
        for text in prompt if isinstance(prompt, list | tuple) else [prompt]:
            validation.check_prompt(constant(text))


class SoraExtendVideoOperator(_FromVideoOperator):
    """Extend a video at its end: by one segment, or by one for each prompt of a list, one after the other.

    :param seconds: length of each new segment
    :param prompt: text prompt describing the segment; a list adds one segment for each
    """

    template_fields: Sequence[str] = (*_FromVideoOperator.template_fields, "seconds")

    def __init__(self, *, prompt: str | Sequence[str], seconds: str | float | None = None, **kwargs: Any) -> None:
        super().__init__(prompt=prompt, **kwargs)
        self.seconds = seconds
        validation.check_seconds(constant(seconds), None, ())
        if isinstance(prompt, list | tuple) and not prompt:
            raise SoraConfigError("prompt is empty; it has to be a string or a list of strings")

    def step_count(self) -> int:
        """How many segments are added."""
        return len(self.prompt) if isinstance(self.prompt, list | tuple) else 1

    def build_request(self, hook: SoraHook, step: int, source: VideoManifest | None) -> Request[Video]:
        """The request for one segment."""
        if step == 0:
            self._check_limits()
        if self.prompt in ([], ()):
            raise SoraConfigError("prompt is empty; it has to be a string or a list of strings")
        prompt = self.prompt[step] if isinstance(self.prompt, list | tuple) else self.prompt
        return hook.extend_video.build(
            source.id if source else self.video,
            prompt,
            seconds=self.seconds,
            storage_conn_id=self.storage_conn_id,
            **further_fields(self.parameters, "video", "prompt", "seconds"),
        )

    def _check_limits(self) -> None:
        known = self.video if isinstance(self.video, Mapping) else {}
        validation.check_extension(
            model=known.get("model"),
            source_seconds=known.get("seconds"),
            seconds=self.seconds,
            steps=self.step_count(),
        )


class SoraEditVideoOperator(_FromVideoOperator):
    """Edit a video by a prompt."""

    def __init__(self, *, prompt: str, **kwargs: Any) -> None:
        super().__init__(prompt=prompt, **kwargs)

    def build_request(self, hook: SoraHook, step: int, source: VideoManifest | None) -> Request[Video]:  # noqa: ARG002
        """The edit request."""
        fields = further_fields(self.parameters, "video", "prompt")
        return hook.edit_video.build(self.video, self.prompt, storage_conn_id=self.storage_conn_id, **fields)


class SoraRemixVideoOperator(SoraJobOperator):
    """Create a variation of a completed video from another prompt.

    :param video: a video's id or its manifest
    :param prompt: text prompt describing the variation
    """

    template_fields: Sequence[str] = (*SoraJobOperator.template_fields, "video", "prompt")

    def __init__(self, *, video: VideoRef, prompt: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.video = video
        self.prompt = prompt
        check_ids(constant(video))
        validation.check_prompt(constant(prompt))

    def build_request(self, hook: SoraHook, step: int, source: VideoManifest | None) -> Request[Video]:  # noqa: ARG002
        """The remix request."""
        fields = further_fields(self.parameters, "video", "video_id", "prompt")
        return hook.remix_video.build(self.video, self.prompt, **fields)


class SoraCreateCharacterOperator(BaseOperator):
    """Create a character from a video file of 2 to 4 seconds.

    :param name: the character's name, 1 to 80 characters
    :param video: the file: a path, an object storage URI, an http(s) or data URL, bytes
    :param sora_conn_id: the connection of the server
    :param storage_conn_id: the connection of the storage that holds the file, if it needs one
    :param parameters: any further fields that the server knows
    :returns: ``{"id": …, "name": …, "created_at": …}``, for ``characters`` of `SoraCreateVideoOperator`
    """

    template_fields: Sequence[str] = ("sora_conn_id", "name", "video", "storage_conn_id", "parameters")
    ui_color = "#e8e0f7"

    def __init__(
        self,
        *,
        name: str,
        video: FileSource,
        sora_conn_id: str = DEFAULT_CONN_ID,
        storage_conn_id: str | None = None,
        parameters: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        use_retry_policy(self)
        self.name = name
        self.video = video
        self.sora_conn_id = sora_conn_id
        self.storage_conn_id = storage_conn_id
        self.parameters = parameters
        validation.check_name(constant(name))
        validation.check_parameters(parameters)

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002 - Airflow's signature
        """Create the character."""
        with fail_without_retry(), SoraHook(self.sora_conn_id) as hook:
            fields = further_fields(self.parameters, "name", "video")
            character = hook.create_character(self.name, self.video, storage_conn_id=self.storage_conn_id, **fields)
        name = character.name and masked(character.name)
        self.log.info("Character %s: created as %s", character.id, name)
        return {"id": character.id, "name": name, "created_at": character.created_at}


class SoraDeleteVideoOperator(BaseOperator):
    """Delete videos on the server; suitable as a teardown task.

    :param video: an id, a manifest, or a list of either
    :param sora_conn_id: the connection of the server; default: the manifest's own, or ``sora_default`` for an id
    :param ignore_missing: do not fail if a video no longer exists
    :returns: the ids of the videos that no longer exist
    """

    template_fields: Sequence[str] = ("video", "sora_conn_id")
    ui_color = "#e8e0f7"

    def __init__(
        self, *, video: Any, sora_conn_id: str | None = None, ignore_missing: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        use_retry_policy(self)
        self.video = video
        self.sora_conn_id = sora_conn_id
        self.ignore_missing = ignore_missing
        check_ids(constant(video))

    def execute(self, context: Context) -> list[str]:  # noqa: ARG002 - Airflow's signature
        """Delete each video; one that cannot be deleted does not stop the others from being deleted."""
        several = isinstance(self.video, list | tuple)
        errors: list[SoraError] = []
        deleted = []
        for ref in self.video if several else [self.video]:
            try:
                deleted.append(self._delete(ref))
            except SoraError as error:
                self.log.error("%s", error)  # noqa: TRY400 - the first one is raised below, with its traceback
                errors.append(error)
        if errors:
            with fail_without_retry():
                raise errors[0]
        return deleted

    def _delete(self, ref: Any) -> str:
        video_id = video_id_of(ref)
        if video_id is None:
            raise SoraConfigError(f"video is {quoted(ref)}; it has to be an id, a manifest, or a list of them")
        named = ref.get("conn_id") if isinstance(ref, Mapping) else None
        with SoraHook(self.sora_conn_id or named or DEFAULT_CONN_ID) as hook:
            try:
                deleted = hook.delete_video(video_id)
            except SoraNotFoundError:
                if not self.ignore_missing:
                    raise
                self.log.info("Video %s: no longer exists on the server", video_id)
            else:
                self.log.info("Video %s: %s", video_id, "deleted" if deleted else "the server has not deleted it yet")
        return video_id
