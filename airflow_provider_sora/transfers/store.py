"""The interface of every store: what moving a file into it needs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from airflow_provider_sora.api.content.reading import Content
from airflow_provider_sora.api.protocol.requests import Variant
from airflow_provider_sora.exceptions import SoraConfigError, SoraTargetExistsError
from airflow_provider_sora.transfers import object_metadata
from airflow_provider_sora.transfers.part import Part


@dataclass(frozen=True)
class Target:
    """The file to write: its key, and what identifies it.

    :param create_only: write only where there is no file yet
    """

    key: str
    video_id: str
    variant: Variant
    content_type: str
    create_only: bool

    def metadata(self) -> dict[str, str]:
        """The object metadata that is known before the content is."""
        return object_metadata.identity(self.video_id, self.variant)


@dataclass(frozen=True)
class ObjectInfo:
    """A file that exists in a store.

    :param metadata: its object metadata, of any author, with names in lower case
    """

    size_bytes: int
    content_type: str
    metadata: Mapping[str, str]

    @property
    def sha256(self) -> str | None:
        """The digest in the object metadata."""
        return self.metadata.get(object_metadata.DIGEST_KEY)

    def identifies(self, video_id: str, variant: Variant) -> bool:
        """Whether the object metadata can be read, and names this variant of this video."""
        return object_metadata.identifies(self.metadata, video_id, variant)

    def metadata_problem(self) -> str | None:
        """Why the object metadata cannot be read, as a clause; None where it can."""
        return object_metadata.problem(self.metadata)


class Upload(ABC):
    """A file that is being written in parts; it is not visible before `complete`."""

    @abstractmethod
    def send(self, number: int, part: Part) -> None:
        """Send part `number`, from 1, to the store. Called from several threads where the store has `workers`."""

    @abstractmethod
    def complete(self, content: Content) -> bool:
        """Make the file visible, in one step; returns whether the store's response proves that it has what was sent.

        :raises SoraTargetExistsError: the key has a file, and `create_only` was set
        :raises SoraContentError: the store has other bytes than were sent; they were removed
        """

    @abstractmethod
    def abort(self) -> None:
        """Remove everything that was sent."""


class Store(ABC):
    """A place for files.

    :ivar workers: how many parts of one file may be sent at once; with 1 they are sent in order
    :ivar keeps_metadata: whether it keeps object metadata; otherwise files are compared by their content
    """

    workers = 1
    keeps_metadata = True

    @abstractmethod
    def uri(self, key: str) -> str:
        """The URI of a file."""

    @abstractmethod
    def find(self, key: str) -> ObjectInfo | None:
        """The file at `key`, or None.

        :raises SoraConfigError: it is a folder
        """

    @abstractmethod
    def begin(self, target: Target) -> Upload:
        """Begin to write a file in parts.

        :raises SoraConfigError: no file can have this key
        """

    @abstractmethod
    def put(self, target: Target, content: Content, part: Part) -> bool:
        """Write a file that has one part; returns and raises what `begin` and `Upload.complete` do."""

    def sha256(self, key: str) -> str | None:  # noqa: ARG002 - for stores that override it
        """The SHA-256 of a stored file, in hex, computed by reading it; None where the store keeps metadata instead."""
        return None

    def exists_error(self, key: str) -> SoraTargetExistsError:
        """The error for a key that has a file already."""
        return SoraTargetExistsError(f"{self.uri(key)} already exists, and if_exists does not allow replacing it")


@contextmanager
def require_extra(extra: str) -> Iterator[None]:
    """Turn a missing library into an error that names the extra to install.

    :raises SoraConfigError: the library is missing
    """
    try:
        yield
    except ImportError as error:
        raise SoraConfigError(f"{error}; install airflow-provider-sora[{extra}]") from error
