"""The Videos API behind an Airflow connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Self, TypeVar

from airflow_provider_sora import sources
from airflow_provider_sora.api.client import AsyncSoraClient, SoraClient
from airflow_provider_sora.api.content.reading import Content
from airflow_provider_sora.api.decisions.polling import Decision, Wait
from airflow_provider_sora.api.decisions.retry import RequestRetryPolicy
from airflow_provider_sora.api.http.config import SoraConfig
from airflow_provider_sora.api.http.flows import OnChange
from airflow_provider_sora.api.protocol import validation
from airflow_provider_sora.api.protocol.ids import check_id
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.api.protocol.requests import (
    CreateCharacter,
    CreateVideo,
    DeleteVideo,
    DownloadContent,
    EditVideo,
    ExtendVideo,
    GetCharacter,
    InputFile,
    ListVideos,
    Reference,
    RemixVideo,
    Request,
    RetrieveVideo,
    Variant,
)
from airflow_provider_sora.api.protocol.uploads import Fit
from airflow_provider_sora.compat import AIRFLOW_V_3_2_PLUS, BaseHook, get_async_connection
from airflow_provider_sora.exceptions import SoraConfigError, SoraError
from airflow_provider_sora.get_provider_info import CONN_FIELDS, UI_FIELD_BEHAVIOUR
from airflow_provider_sora.hooks.cancellation import cancelled, not_cancelled, reason_to_stay, with_short_timeouts
from airflow_provider_sora.hooks.connection import explain, read_config
from airflow_provider_sora.hooks.dual_call import api_call
from airflow_provider_sora.masking import quoted
from airflow_provider_sora.sources import ReferenceAs

RequestT = TypeVar("RequestT", bound=Request[Any])

DEFAULT_CONN_ID = "sora_default"
_CHECK_FAILED = "Video %s: the status check failed: %s"


class SoraHook(BaseHook):
    """The Videos API behind an Airflow connection of type ``sora``.

    Each API method blocks when it is called; its `aio` is awaited: ``await hook.get_video.aio("video_1")``. Fields that
    this package does not know are sent to the server as they are.

    :param sora_conn_id: the connection
    """

    conn_name_attr = "sora_conn_id"
    default_conn_name = DEFAULT_CONN_ID
    conn_type = "sora"
    hook_name = "Sora (Videos API)"

    def __init__(self, sora_conn_id: str = DEFAULT_CONN_ID, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sora_conn_id = sora_conn_id
        self._async_client: AsyncSoraClient | None = None

    @api_call
    def create_video(
        self,
        /,
        prompt: str,
        *,
        model: str | None = None,
        seconds: str | float | None = None,
        size: str | None = None,
        input_reference: Any = None,
        characters: Sequence[Any] | None = None,
        fit: Fit | None = None,
        reference_as: ReferenceAs = "upload",
        storage_conn_id: str | None = None,
        **fields: Any,
    ) -> CreateVideo:
        """Start a video job.

        :param input_reference: a picture to start from, in any form that `sources.picture` takes
        :param characters: ids, or what `create_character` gave
        :param fit: make the picture the size of the video
        """
        validation.check_create(model=model, prompt=prompt, seconds=seconds, size=size, characters=characters)
        reference = None
        if input_reference is not None:
            reference = sources.picture(
                input_reference,
                fetch=self._fetch,
                size=size,
                fit=fit,
                reference_as=reference_as,
                storage_conn_id=storage_conn_id,
                allowed_paths=self._allowed_paths,
            )
        return build(
            CreateVideo,
            prompt=prompt,
            model=model,
            seconds=seconds,
            size=size,
            input_reference=reference,
            characters=_characters(characters),
            **fields,
        )

    @api_call
    def extend_video(
        self,
        /,
        video: Any,
        prompt: str,
        *,
        seconds: str | float | None = None,
        storage_conn_id: str | None = None,
        **fields: Any,
    ) -> ExtendVideo:
        """Add a segment of `seconds` to a finished video: an id, a manifest, or a file that `sources.video` takes."""
        validation.check_prompt(prompt)
        source = self._video(video, storage_conn_id)
        return build(ExtendVideo, video=source, prompt=prompt, seconds=seconds, **fields)

    @api_call
    def edit_video(self, /, video: Any, prompt: str, *, storage_conn_id: str | None = None, **fields: Any) -> EditVideo:
        """Change what is seen in a finished video: an id, a manifest, or a file that `sources.video` takes."""
        validation.check_prompt(prompt)
        source = self._video(video, storage_conn_id)
        return build(EditVideo, video=source, prompt=prompt, **fields)

    @api_call
    def remix_video(self, /, video: Any, prompt: str, **fields: Any) -> RemixVideo:
        """Make a finished video anew with another prompt; `video` is an id or a manifest."""
        validation.check_prompt(prompt)
        video_id = sources.video_id_of(video)
        if video_id is None:
            raise SoraConfigError(f"video is {quoted(video)}; a remix starts from an id or a manifest, not from a file")
        return build(RemixVideo, video_id=video_id, prompt=prompt, **fields)

    @api_call
    def create_character(
        self, /, name: str, video: Any, *, storage_conn_id: str | None = None, **fields: Any
    ) -> CreateCharacter:
        """Make a character from a video file of 2 to 4 seconds, in any form that `sources.video` takes but an id."""
        validation.check_name(name)
        source = self._video(video, storage_conn_id)
        if not isinstance(source, InputFile):
            raise SoraConfigError(f"video is {quoted(video)}; a character is made from a file, not from a video's id")
        return build(CreateCharacter, name=name, video=source, **fields)

    @api_call
    def get_character(self, /, character_id: str) -> GetCharacter:
        """A character as the server has it."""
        return build(GetCharacter, character_id=character_id)

    @api_call
    def get_video(self, /, video_id: str) -> RetrieveVideo:
        """A job as it is now."""
        return build(RetrieveVideo, video_id=video_id)

    @api_call
    def delete_video(self, /, video_id: str) -> DeleteVideo:
        """Delete a video; answers whether the server says that it is gone."""
        return build(DeleteVideo, video_id=video_id)

    def list_videos(
        self, limit: int | None = None, order: str | None = None, after: str | None = None
    ) -> Iterator[Video]:
        """The server's videos, over all pages; always ends. `limit` is the length of a page."""
        return self.get_conn().list_videos(build(ListVideos, limit=limit, order=order, after=after))

    async def list_videos_aio(
        self, limit: int | None = None, order: str | None = None, after: str | None = None
    ) -> AsyncIterator[Video]:
        """`list_videos` for an event loop."""
        client = await self.shared_async_conn()
        async for video in client.list_videos(build(ListVideos, limit=limit, order=order, after=after)):
            yield video

    def download_content(self, video_id: str, variant: Variant = "video") -> Generator[bytes, None, Content]:
        """The bytes of a video as they come; the generator returns what was read once it has been checked."""
        return self.get_conn().read_content(build(DownloadContent, video_id=video_id, variant=variant))

    async def download_content_aio(self, video_id: str, variant: Variant = "video") -> AsyncGenerator[bytes, None]:
        """`download_content` for an event loop; ends only where the bytes have been found whole."""
        client = await self.shared_async_conn()
        async for chunk in client.read_content(build(DownloadContent, video_id=video_id, variant=variant)):
            yield chunk

    def check_video(self, wait: Wait, on_change: OnChange, limit_seconds: float) -> Decision:
        """Poll a job once and decide whether to poll again; a status check that fails is logged.

        :param wait: the wait so far, with its failures
        :param limit_seconds: how long each request may take altogether
        :raises SoraConfigError: the connection cannot be used
        """
        config = with_short_timeouts(self._config(), limit_seconds)
        with SoraClient(config) as client:
            return client.check(wait, on_change, lambda error: self.log.warning(_CHECK_FAILED, wait.video_id, error))

    def cancel_video(self, video_id: str) -> str:
        """Delete a running job that nobody waits for any more; what became of it, in words.

        Each request is sent once and may take a few seconds. A video that is finished stays: it is paid for.
        """
        try:
            with SoraClient(with_short_timeouts(self._config()), RequestRetryPolicy(attempts=1)) as client:
                reason = reason_to_stay(client.send(build(RetrieveVideo, video_id=video_id)))
                if reason is not None:
                    return reason
                return cancelled(video_id, client.send(build(DeleteVideo, video_id=video_id)))
        except SoraError as error:
            return not_cancelled(video_id, error)

    async def cancel_video_aio(self, video_id: str) -> str:
        """`cancel_video` for an event loop."""
        try:
            config = read_config(*await get_async_connection(self, self.sora_conn_id))
            async with await AsyncSoraClient.create(
                with_short_timeouts(config), RequestRetryPolicy(attempts=1)
            ) as client:
                reason = reason_to_stay(await client.send(build(RetrieveVideo, video_id=video_id)))
                if reason is not None:
                    return reason
                return cancelled(video_id, await client.send(build(DeleteVideo, video_id=video_id)))
        except SoraError as error:
            return not_cancelled(video_id, error)

    def _config(self) -> SoraConfig:
        connection = self.get_connection(self.sora_conn_id)
        return read_config(connection, connection.extra_dejson)

    def wait_for_video(self, wait: Wait, on_change: OnChange) -> Video:
        """Hold the thread until the job has ended; tasks had better defer."""
        return self.get_conn().wait(wait, on_change)

    @cached_property
    def _client(self) -> SoraClient:
        connection = self.get_connection(self.sora_conn_id)
        return SoraClient(read_config(connection, connection.extra_dejson))

    def get_conn(self) -> SoraClient:
        """The blocking client; one per hook."""
        return self._client

    async def get_async_conn(self) -> AsyncSoraClient:
        """A client for the running event loop; whoever asks closes it."""
        return await AsyncSoraClient.create(read_config(*await get_async_connection(self, self.sora_conn_id)))

    async def shared_async_conn(self) -> AsyncSoraClient:
        """The hook's own client for the running event loop; `aclose` closes it."""
        if self._async_client is None:
            self._async_client = await self.get_async_conn()
        return self._async_client

    def close(self) -> None:
        """Close the blocking client's connections, if there are any."""
        if "_client" in self.__dict__:
            self.__dict__.pop("_client").close()

    async def aclose(self) -> None:
        """Close the connections of both clients."""
        client, self._async_client = self._async_client, None
        if client is not None:
            await client.close()
        await asyncio.to_thread(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _fetch(self, url: str) -> bytes:
        return self.get_conn().fetch(url)

    def _allowed_paths(self) -> tuple[str, ...] | None:
        return self.get_conn().config.allowed_paths

    def _video(self, video: Any, storage_conn_id: str | None) -> InputFile | Reference:
        return sources.video(
            video, fetch=self._fetch, storage_conn_id=storage_conn_id, allowed_paths=self._allowed_paths
        )

    def test_connection(self) -> tuple[bool, str]:
        """Ask the server for its list, once, and say in words what is wrong where it does not answer with one."""
        try:
            connection = self.get_connection(self.sora_conn_id)
            config = read_config(connection, connection.extra_dejson)
            with SoraClient(config, RequestRetryPolicy(attempts=1)) as client:
                client.send(ListVideos(limit=1))
        except SoraError as error:
            return False, explain(error)
        return True, f"The server at {config.base_url} lists its videos."

    # Airflow 3.2 reads the form from the provider's metadata; before, it asks the hook.
    if not AIRFLOW_V_3_2_PLUS:

        @classmethod
        def get_connection_form_widgets(cls) -> dict[str, Any]:
            """The form's own fields, for Airflow before 3.2."""
            from wtforms import StringField

            return {
                name: StringField(field["label"], description=field["description"])
                for name, field in CONN_FIELDS.items()
            }

        @classmethod
        def get_ui_field_behaviour(cls) -> dict[str, Any]:
            """How the form shows Airflow's fields, for Airflow before 3.2."""
            return {name.replace("-", "_"): value for name, value in UI_FIELD_BEHAVIOUR.items()}


def build(request_type: type[RequestT], /, **fields: Any) -> RequestT:
    """A request from a user's values.

    :raises SoraConfigError: naming field, value and what is allowed
    """
    return request_type(**fields)


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
