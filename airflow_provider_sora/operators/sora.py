"""One operator for each thing the API can make, and one that deletes."""

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
    """Make a video from a prompt, and perhaps a picture.

    :param prompt: what is to be seen
    :param model: the server's name of a model; default: the server's own
    :param seconds: length of the video
    :param size: ``"<width>x<height>"`` in pixels
    :param input_reference: a picture to start from: path, object storage URI, http(s) or data URL, bytes, or file id
    :param characters: ids, or what `SoraCreateCharacterOperator` returned; two at most for the models of the hosted API
    :param fit: make the picture as large as the video: ``cover`` cuts, ``contain`` adds bars; None: it has to be
    :param reference_as: ``upload`` sends the picture as a file, ``object`` as the API's reference object
    :param storage_conn_id: the connection to where `input_reference` is, if it needs one
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
        """The create call, its picture read."""
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
    """Starts from a finished video.

    :param video: a video's id, its manifest, or a file: a path, an object storage URI, an http(s) URL, bytes
    :param prompt: what is to be seen, or to change
    :param storage_conn_id: the connection to where the file is, if it needs one
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
    """Add to the end of a video: once, or step by step with a list of prompts, each step starting from the one before.

    :param seconds: length of each new segment
    :param prompt: what is to be seen in the segment; a list makes one segment for each
    """

    template_fields: Sequence[str] = (*_FromVideoOperator.template_fields, "seconds")

    def __init__(self, *, prompt: str | Sequence[str], seconds: str | float | None = None, **kwargs: Any) -> None:
        super().__init__(prompt=prompt, **kwargs)
        self.seconds = seconds
        validation.check_seconds(constant(seconds), None, ())
        if isinstance(prompt, list | tuple) and not prompt:
            raise SoraConfigError("prompt is empty; it has to be a text or a list of texts")

    def step_count(self) -> int:
        return len(self.prompt) if isinstance(self.prompt, list | tuple) else 1

    def build_request(self, hook: SoraHook, step: int, source: VideoManifest | None) -> Request[Video]:
        """The call for one segment."""
        if step == 0:
            self._check_limits()
        if self.prompt in ([], ()):
            raise SoraConfigError("prompt is empty; it has to be a text or a list of texts")
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
    """Change what is seen in a video."""

    def __init__(self, *, prompt: str, **kwargs: Any) -> None:
        super().__init__(prompt=prompt, **kwargs)

    def build_request(self, hook: SoraHook, step: int, source: VideoManifest | None) -> Request[Video]:  # noqa: ARG002
        """The edit call."""
        fields = further_fields(self.parameters, "video", "prompt")
        return hook.edit_video.build(self.video, self.prompt, storage_conn_id=self.storage_conn_id, **fields)


class SoraRemixVideoOperator(SoraJobOperator):
    """Make a finished video anew with another prompt.

    :param video: a video's id or its manifest
    :param prompt: what is to be seen
    """

    template_fields: Sequence[str] = (*SoraJobOperator.template_fields, "video", "prompt")

    def __init__(self, *, video: VideoRef, prompt: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.video = video
        self.prompt = prompt
        check_ids(constant(video))
        validation.check_prompt(constant(prompt))

    def build_request(self, hook: SoraHook, step: int, source: VideoManifest | None) -> Request[Video]:  # noqa: ARG002
        """The remix call."""
        fields = further_fields(self.parameters, "video", "video_id", "prompt")
        return hook.remix_video.build(self.video, self.prompt, **fields)


class SoraCreateCharacterOperator(BaseOperator):
    """Make a character from a video file of 2 to 4 seconds.

    :param name: its name, 1 to 80 characters
    :param video: the file: a path, an object storage URI, an http(s) or data URL, bytes
    :param sora_conn_id: the connection of the server
    :param storage_conn_id: the connection to where the file is, if it needs one
    :param parameters: any further fields the server knows
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
        """Make the character."""
        with fail_without_retry(), SoraHook(self.sora_conn_id) as hook:
            fields = further_fields(self.parameters, "name", "video")
            character = hook.create_character(self.name, self.video, storage_conn_id=self.storage_conn_id, **fields)
        name = character.name and masked(character.name)
        self.log.info("Character %s: made as %s", character.id, name)
        return {"id": character.id, "name": name, "created_at": character.created_at}


class SoraDeleteVideoOperator(BaseOperator):
    """Delete videos on the server; fit for a teardown task.

    :param video: an id, a manifest, or a list of either
    :param sora_conn_id: the connection of the server; default: the manifest's own, or ``sora_default`` for an id
    :param ignore_missing: a video that is already gone is fine
    :returns: the ids that are gone
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
        """Delete each; one that cannot be deleted does not keep the others."""
        several = isinstance(self.video, list | tuple)
        errors: list[SoraError] = []
        gone = []
        for ref in self.video if several else [self.video]:
            try:
                gone.append(self._delete(ref))
            except SoraError as error:
                self.log.error("%s", error)  # noqa: TRY400 - the first one is raised below, with its traceback
                errors.append(error)
        if errors:
            with fail_without_retry():
                raise errors[0]
        return gone

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
                self.log.info("Video %s: already gone", video_id)
            else:
                self.log.info("Video %s: %s", video_id, "deleted" if deleted else "the server has yet to delete it")
        return video_id
