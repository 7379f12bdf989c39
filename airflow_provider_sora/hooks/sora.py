"""From an Airflow connection to a client."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterator
from functools import cached_property
from typing import Any, Self, TypeVar

from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson
from airflow.providers.common.compat.sdk import BaseHook, Connection
from pydantic import ValidationError

from airflow_provider_sora.api.client import AsyncSoraClient, SoraClient
from airflow_provider_sora.api.config import SoraConfig
from airflow_provider_sora.api.content import Content
from airflow_provider_sora.api.decisions import RetryPolicy, Wait
from airflow_provider_sora.api.flows import OnChange
from airflow_provider_sora.api.models import Video
from airflow_provider_sora.api.requests import (
    CreateVideo,
    DeleteVideo,
    DownloadContent,
    ListVideos,
    Request,
    RetrieveVideo,
    Variant,
)
from airflow_provider_sora.exceptions import (
    SoraAnswerError,
    SoraAuthError,
    SoraConfigError,
    SoraConnectionError,
    SoraError,
    SoraNotFoundError,
)
from airflow_provider_sora.get_provider_info import CONN_FIELDS, UI_FIELD_BEHAVIOUR

RequestT = TypeVar("RequestT", bound=Request[Any])

DEFAULT_CONN_ID = "sora_default"


class SoraHook(BaseHook):
    """The Videos API behind an Airflow connection of type ``sora``.

    Host is the base URL, Password the API key; Extra may hold ``auth``, ``headers``, ``query``, ``timeout``,
    ``connect_timeout`` (seconds) and ``verify``.

    :param sora_conn_id: the connection
    """

    conn_name_attr = "sora_conn_id"
    default_conn_name = DEFAULT_CONN_ID
    conn_type = "sora"
    hook_name = "Sora (Videos API)"

    def __init__(self, sora_conn_id: str = DEFAULT_CONN_ID, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sora_conn_id = sora_conn_id

    @cached_property
    def _client(self) -> SoraClient:
        connection = self.get_connection(self.sora_conn_id)
        return SoraClient(read_config(connection, connection.extra_dejson))

    def get_conn(self) -> SoraClient:
        """The blocking client; one per hook."""
        return self._client

    def close(self) -> None:
        """Close the client's connections, if there are any."""
        if "_client" in self.__dict__:
            self.__dict__.pop("_client").close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def get_async_conn(self) -> AsyncSoraClient:
        """A client for the running event loop; whoever asks closes it."""
        connection = await get_async_connection(self.sora_conn_id, hook=self)
        return await AsyncSoraClient.create(read_config(connection, await get_async_extra_dejson(connection)))

    def create_video(self, prompt: str, **fields: Any) -> Video:
        """Start a video job; `fields` are those of `CreateVideo` and any the server knows."""
        return self.get_conn().send(build(CreateVideo, prompt=prompt, **fields))

    def get_video(self, video_id: str) -> Video:
        """A job as it is now."""
        return self.get_conn().send(build(RetrieveVideo, video_id=video_id))

    def list_videos(
        self, limit: int | None = None, order: str | None = None, after: str | None = None
    ) -> Iterator[Video]:
        """The server's videos, over all pages. `limit` is the length of a page."""
        return self.get_conn().list_videos(build(ListVideos, limit=limit, order=order, after=after))

    def delete_video(self, video_id: str) -> bool:
        """Delete a video; whether the server says that it is gone."""
        return self.get_conn().send(build(DeleteVideo, video_id=video_id))

    def download_content(self, video_id: str, variant: Variant = "video") -> Generator[bytes, None, Content]:
        """The bytes of a video as they come; the generator returns what was read once it has been checked."""
        return self.get_conn().read_content(build(DownloadContent, video_id=video_id, variant=variant))

    def wait_for_video(self, wait: Wait, on_change: OnChange) -> Video:
        """Hold the thread until the job has ended; tasks had better defer."""
        return self.get_conn().wait(wait, on_change)

    def test_connection(self) -> tuple[bool, str]:
        """Ask the server for its list, once, and say in words what is wrong where it does not answer with one."""
        try:
            connection = self.get_connection(self.sora_conn_id)
            config = read_config(connection, connection.extra_dejson)
            with SoraClient(config, RetryPolicy(attempts=1)) as client:
                client.send(ListVideos(limit=1))
        except SoraError as error:
            return False, _explain(error)
        return True, f"The server at {config.base_url} lists its videos."

    # Airflow 3.2 reads the form from the provider's metadata; before, it asks the hook.
    from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_2_PLUS as _READS_METADATA

    if not _READS_METADATA:

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


def build(request_type: type[RequestT], **fields: Any) -> RequestT:
    """A request from a user's values.

    :raises SoraConfigError: naming field, value and what is allowed
    """
    try:
        return request_type(**fields)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, e['loc']))} is {str(e['input'])[:80]!r}: {e['msg']}" for e in error.errors()
        )
        raise SoraConfigError(f"{request_type.__name__}: {wrong}") from None


def read_config(connection: Connection, extra: dict[str, Any]) -> SoraConfig:
    """The server and the way to it, from an Airflow connection.

    :raises SoraConfigError: naming the field, its value and what it may be
    """
    unknown = sorted(set(extra) - set(CONN_FIELDS))
    if unknown:
        known = ", ".join(CONN_FIELDS)
        raise SoraConfigError(f"connection {connection.conn_id!r}: Extra has {', '.join(unknown)}; it may have {known}")
    try:
        return SoraConfig(
            base_url=_host(connection),
            api_key=connection.password or None,
            auth=extra.get("auth") or "bearer",
            headers=_string_map(extra, "headers"),
            query=_string_map(extra, "query"),
            timeout_seconds=_number(extra, "timeout", 60.0),
            connect_timeout_seconds=_number(extra, "connect_timeout", 10.0),
            verify=_verify(extra.get("verify")),
        )
    except SoraConfigError as error:
        raise SoraConfigError(f"connection {connection.conn_id!r}: {error}") from None


def _host(connection: Connection) -> str:
    host = connection.host or ""
    if not host or "://" in host:
        return host
    scheme = connection.schema or "https"
    address, slash, path = host.partition("/")
    port = f":{connection.port}" if connection.port else ""
    return f"{scheme}://{address}{port}{slash}{path}"


def _string_map(extra: dict[str, Any], name: str) -> dict[str, str]:
    value = extra.get(name) or {}
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, dict):
        raise SoraConfigError(f"{name} in Extra has to be a JSON object of texts")
    return {str(key): str(item) for key, item in value.items()}


def _number(extra: dict[str, Any], name: str, default: float) -> float:
    value = extra.get(name)
    try:
        return default if value in (None, "") else float(value)
    except (TypeError, ValueError):
        raise SoraConfigError(f"{name} in Extra is {value!r}; it has to be a number of seconds") from None


def _verify(value: object) -> bool | str:
    if isinstance(value, bool):
        return value
    text = str(value or "true").strip()
    return {"true": True, "false": False}.get(text.lower(), text)


def _explain(error: SoraError) -> str:
    if isinstance(error, SoraConnectionError):
        return f"Wrong host, or the server is down: {error}"
    if isinstance(error, SoraAuthError):
        return f"The server is there but refuses the key (Password, or `auth` in Extra): {error}"
    if isinstance(error, SoraNotFoundError | SoraAnswerError):
        return f"A server is there, but no Videos API under this path (Host), or one that has no list: {error}"
    return f"{error}"


def deadline_in(seconds: float) -> float:
    """The unix time so many seconds from now: what survives a restart of the triggerer."""
    return time.time() + seconds
