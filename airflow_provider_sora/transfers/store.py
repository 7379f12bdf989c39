"""What every store can do, as far as moving a file into it goes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote

from airflow_provider_sora.api.content.reading import Content
from airflow_provider_sora.api.protocol.requests import Variant
from airflow_provider_sora.exceptions import SoraConfigError, SoraTargetExistsError
from airflow_provider_sora.transfers.part import Part

VIDEO_KEY = "sora-video-id"
VARIANT_KEY = "sora-variant"
DIGEST_KEY = "sha256"


@dataclass(frozen=True)
class Target:
    """Where one file goes, and what it is.

    :param create_only: write only where there is nothing yet
    """

    key: str
    video_id: str
    variant: Variant
    content_type: str
    create_only: bool

    def metadata(self) -> dict[str, str]:
        """What is written beside the bytes, where the store has room for that. ASCII, as S3 asks for."""
        return {VIDEO_KEY: _ascii(self.video_id), VARIANT_KEY: self.variant}


@dataclass(frozen=True)
class ObjectInfo:
    """What lies at a key; `labels` as this package, or anybody else, has written them."""

    size_bytes: int
    content_type: str
    metadata: Mapping[str, str]

    @property
    def sha256(self) -> str | None:
        """The digest that was written beside the bytes."""
        return self.metadata.get(DIGEST_KEY)

    def is_of(self, video_id: str, variant: Variant) -> bool:
        """Whether this package has written it, from this variant of this video."""
        return (self.metadata.get(VIDEO_KEY), self.metadata.get(VARIANT_KEY)) == (_ascii(video_id), variant)


class Upload(ABC):
    """A file on its way in parts; nobody sees it before `complete`."""

    @abstractmethod
    def send(self, number: int, part: Part) -> None:
        """Bring part `number`, from 1, to the store. Called from several threads where the store has `workers`."""

    @abstractmethod
    def complete(self, content: Content) -> bool:
        """Make the whole visible, in one step; whether the store's own answer proves that it has what was sent.

        :raises SoraTargetExistsError: something is there already, and only what is new was to be written
        :raises SoraContentError: what the store has got is not what was sent; it is gone again
        """

    @abstractmethod
    def abort(self) -> None:
        """Leave nothing behind."""


class Store(ABC):
    """A place for files.

    :param workers: how many parts of one file may be on their way at once; with 1 they arrive in order
    :param keeps_metadata: whether it has room for a file's video id and digest
    """

    workers = 1
    keeps_metadata = True

    @abstractmethod
    def uri(self, key: str) -> str:
        """The address of a file."""

    @abstractmethod
    def find(self, key: str) -> ObjectInfo | None:
        """What lies at `key`.

        :raises SoraConfigError: a folder does
        """

    @abstractmethod
    def begin(self, target: Target) -> Upload:
        """Begin to write a file in parts.

        :raises SoraConfigError: no file can have this key
        """

    @abstractmethod
    def put(self, target: Target, content: Content, part: Part) -> bool:
        """Write a file that is one part; returns and raises what `begin` and `Upload.complete` do."""

    def sha256(self, key: str) -> str | None:  # noqa: ARG002 - for stores that override it
        """The SHA-256 of a stored file, in hex, computed by reading it; None where the store keeps metadata instead."""
        return None

    def exists(self, key: str) -> SoraTargetExistsError:
        """The error for a key that is taken."""
        return SoraTargetExistsError(f"{self.uri(key)} exists, and is not to be replaced (if_exists)")


def digest_metadata(content: Content) -> dict[str, str]:
    """The digest, for content whose end is proved: a file that has it need not be moved again."""
    return {DIGEST_KEY: content.sha256} if content.end_verified else {}


def metadata_of(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """A store's metadata with names as they were written: some stores change upper and lower case."""
    return {name.lower(): value for name, value in (metadata or {}).items()}


@contextmanager
def require_extra(extra: str) -> Iterator[None]:
    """Say which extra brings a cloud's library, where it is missing."""
    try:
        yield
    except ImportError as error:
        raise SoraConfigError(f"{error}; install airflow-provider-sora[{extra}]") from error


def _ascii(text: str) -> str:
    return quote(text, safe="=/+:@,~")
