"""The hook's calls that create something, from values in whatever form a user has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_sora import sources
from airflow_provider_sora.api.protocol import validation
from airflow_provider_sora.api.protocol.ids import check_id
from airflow_provider_sora.api.protocol.requests import (
    CreateCharacter,
    CreateVideo,
    EditVideo,
    ExtendVideo,
    InputFile,
    Reference,
    RemixVideo,
)
from airflow_provider_sora.api.protocol.uploads import Fit
from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.hooks.base import SoraBaseHook
from airflow_provider_sora.hooks.dual_call import sends_request
from airflow_provider_sora.masking import quoted
from airflow_provider_sora.sources import CharacterRef, FileSource, ImageSource, ReferenceAs, VideoRef, VideoSource


class SoraCreationHook(SoraBaseHook):
    """The calls that are paid: each starts a job, or creates a character."""

    @sends_request
    def create_video(
        self,
        /,
        prompt: str,
        *,
        model: str | None = None,
        seconds: str | float | None = None,
        size: str | None = None,
        input_reference: ImageSource | None = None,
        characters: Sequence[CharacterRef] | None = None,
        fit: Fit | None = None,
        reference_as: ReferenceAs = "upload",
        storage_conn_id: str | None = None,
        **fields: Any,
    ) -> CreateVideo:
        """Start a video job; returns the job as the server accepted it.

        :param prompt: text prompt describing the video
        :param model: the model, as the server names it; default: the server's choice
        :param seconds: length of the video in seconds
        :param size: ``"<width>x<height>"`` in pixels
        :param input_reference: an image to start from, in any form that `sources.image` takes
        :param characters: ids, or what `create_character` returned
        :param fit: how to bring the image to the size of the video: ``cover`` crops it, ``contain`` adds bars; with
            None an image of another size is an error
        :param reference_as: ``upload`` sends the image as a file, ``object`` as the API's reference object
        :param storage_conn_id: the connection of the object store that holds the image, if it needs one
        :param fields: further fields that the server knows, such as ``seed``; sent as they are
        :raises SoraConfigError: an argument is invalid; nothing was sent
        """
        validation.check_create(model=model, prompt=prompt, seconds=seconds, size=size, characters=characters)
        reference = None
        if input_reference is not None:
            reference = sources.image(
                input_reference,
                fetch=self._fetch,
                size=size,
                fit=fit,
                reference_as=reference_as,
                storage_conn_id=storage_conn_id,
                allowed_paths=self._allowed_paths,
            )
        return CreateVideo(
            prompt=prompt,
            model=model,
            seconds=seconds,
            size=size,
            input_reference=reference,
            characters=_characters(characters),
            **fields,
        )

    @sends_request
    def extend_video(
        self,
        /,
        video: VideoSource,
        prompt: str,
        *,
        seconds: str | float | None = None,
        storage_conn_id: str | None = None,
        **fields: Any,
    ) -> ExtendVideo:
        """Start a job that adds a segment to the end of a completed video.

        :param video: an id, a manifest, or a file in any form that `sources.video` takes
        :param prompt: text prompt describing the segment
        :param seconds: length of the segment in seconds
        :param storage_conn_id: the connection of the object store that holds the file, if it needs one
        :param fields: further fields that the server knows; sent as they are
        :raises SoraConfigError: an argument is invalid; nothing was sent
        """
        validation.check_prompt(prompt)
        return ExtendVideo(video=self._video(video, storage_conn_id), prompt=prompt, seconds=seconds, **fields)

    @sends_request
    def edit_video(
        self, /, video: VideoSource, prompt: str, *, storage_conn_id: str | None = None, **fields: Any
    ) -> EditVideo:
        """Start a job that edits a completed video by a prompt.

        :param video: an id, a manifest, or a file in any form that `sources.video` takes
        :param prompt: text prompt describing the change
        :param storage_conn_id: the connection of the object store that holds the file, if it needs one
        :param fields: further fields that the server knows; sent as they are
        :raises SoraConfigError: an argument is invalid; nothing was sent
        """
        validation.check_prompt(prompt)
        return EditVideo(video=self._video(video, storage_conn_id), prompt=prompt, **fields)

    @sends_request
    def remix_video(self, /, video: VideoRef, prompt: str, **fields: Any) -> RemixVideo:
        """Start a job that makes a variation of a completed video from another prompt.

        :param video: an id or a manifest
        :param prompt: text prompt describing the variation
        :param fields: further fields that the server knows; sent as they are
        :raises SoraConfigError: an argument is invalid; nothing was sent
        """
        validation.check_prompt(prompt)
        video_id = sources.video_id_of(video)
        if video_id is None:
            raise SoraConfigError(f"video is {quoted(video)}; a remix starts from an id or a manifest, not from a file")
        return RemixVideo(video_id=video_id, prompt=prompt, **fields)

    @sends_request
    def create_character(
        self, /, name: str, video: FileSource, *, storage_conn_id: str | None = None, **fields: Any
    ) -> CreateCharacter:
        """Create a character from a video file of 2 to 4 seconds.

        :param name: the character's name, 1 to 80 characters
        :param video: the file, in any form that `sources.video` takes, but no id
        :param storage_conn_id: the connection of the object store that holds the file, if it needs one
        :param fields: further fields that the server knows; sent as they are
        :raises SoraConfigError: an argument is invalid; nothing was sent
        """
        validation.check_name(name)
        source = self._video(video, storage_conn_id)
        if not isinstance(source, InputFile):
            raise SoraConfigError(f"video is {quoted(video)}; a character is made from a file, not from a video's id")
        return CreateCharacter(name=name, video=source, **fields)

    def _fetch(self, url: str) -> bytes:
        return self.get_conn().fetch(url)

    def _allowed_paths(self) -> tuple[str, ...] | None:
        return self.get_conn().config.allowed_paths

    def _video(self, video: VideoSource, storage_conn_id: str | None) -> InputFile | Reference:
        return sources.video(
            video, fetch=self._fetch, storage_conn_id=storage_conn_id, allowed_paths=self._allowed_paths
        )


def _characters(given: Any) -> list[dict[str, str]] | None:
    if given is None:
        return None
    several = given if isinstance(given, list | tuple | set | frozenset) else [given]
    return [_character(item) for item in several]


def _character(item: Any) -> dict[str, str]:
    found = item.get("id") if isinstance(item, Mapping) else item
    if not isinstance(found, str) or not found:
        raise SoraConfigError(f"characters has {quoted(item)}; each has to be an id or what a character task returned")
    return {"id": check_id("characters", found)}
