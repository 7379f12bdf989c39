"""Which files are verified as complete, and what happens to those that are not."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_sora.compat import AirflowFailException
from airflow_provider_sora.exceptions import SoraConfigError, SoraConnectionError, SoraContentError
from airflow_provider_sora.transfers.sora_to_object_storage import SoraToObjectStorageOperator
from airflow_provider_sora.transfers.sora_to_s3 import SoraToS3Operator
from airflow_provider_sora.transfers.store import Store
from tests.media import FTYP, box
from tests.transfers.destinations import Destination, file_destination, gcs_destination
from tests.transfers.fake_s3 import client_error
from tests.transfers.gcs_server import GCSServer
from tests.transfers.servers import LONG, keys
from tests.transfers.video_server import MIB, VideoServer

MOVE: dict[str, Any] = {"video": "video_1", "sora_conn_id": "sora_long", "part_size_bytes": 5 * MIB}
MOVE_AND_DELETE: dict[str, Any] = {**MOVE, "delete_after_transfer": True}
OPEN_ENDED = FTYP + box(b"moov") + b"\x00\x00\x00\x00mdat" + bytes(1000)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr("airflow_provider_sora.api.decisions.retry.RequestRetryPolicy.pause", lambda *_: 0.0)


@pytest.mark.parametrize("states_length", [True, False])
def test_a_complete_video_is_verified_and_may_be_deleted(
    destination: Destination, long_server: VideoServer, *, states_length: bool
) -> None:
    long_server.states_length = states_length
    [stored] = destination.operator(key="x", **MOVE_AND_DELETE).execute({})
    assert stored["verified"] is True
    assert long_server.deleted
    assert destination.files() == {"x": LONG}


@pytest.mark.parametrize("content", [LONG[: len(LONG) // 2], LONG[:12]], ids=["half", "twelve bytes"])
@pytest.mark.parametrize(
    ("states_length", "error"), [(True, SoraContentError), (False, SoraConnectionError)], ids=["length", "no length"]
)
def test_a_truncated_video_is_neither_stored_nor_deleted(
    destination: Destination, long_server: VideoServer, content: bytes, error: Any, *, states_length: bool
) -> None:
    long_server.content, long_server.states_length = content, states_length
    with pytest.raises(error, match="is not a complete video/mp4"):
        destination.operator(key="x", **MOVE_AND_DELETE).execute({})
    assert destination.files() == {}
    assert not long_server.deleted


@pytest.mark.parametrize("supports_ranges", [True, False], ids=["range", "no range"])
def test_a_video_without_a_length_is_complete_although_the_connection_broke(
    destination: Destination, long_server: VideoServer, *, supports_ranges: bool
) -> None:
    long_server.states_length, long_server.supports_ranges = False, supports_ranges
    long_server.drops = [len(LONG) // 3, len(LONG) - 1]
    [stored] = destination.operator(key="x", **MOVE).execute({})
    assert destination.files() == {"x": LONG}
    assert stored["verified"] is True
    assert len(long_server.requests) == 3


@pytest.mark.parametrize("content", [OPEN_ENDED, OPEN_ENDED + LONG], ids=["one part", "several"])
def test_a_video_whose_length_nothing_proves_is_stored_and_kept_on_the_server(
    destination: Destination, long_server: VideoServer, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    long_server.content, long_server.states_length = content, False
    [stored] = destination.operator(key="x", **MOVE_AND_DELETE).execute({})
    assert destination.files() == {"x": content}
    assert stored["verified"] is False
    assert not long_server.deleted
    assert "may be incomplete: the server did not say how long the content is" in caplog.text
    assert f"was not deleted on the server: nothing proves that {stored['uri']} is complete" in caplog.text
    # Nor does the next run accept it.
    [stored] = destination.operator(key="x", if_exists="skip", **MOVE_AND_DELETE).execute({})
    assert stored["verified"] is False
    assert not long_server.deleted


def test_a_variant_that_the_server_lacks_keeps_the_video(destination: Destination, long_server: VideoServer) -> None:
    """The thumbnail that this server sends is a video, so it is not stored."""
    with pytest.raises(Exception, match="is not a thumbnail"):
        destination.operator(key="{variant}", variants=("video", "thumbnail"), **MOVE_AND_DELETE).execute({})
    assert not long_server.deleted


class WriteOnly:
    """A store whose files cannot be read."""

    def __init__(self, store: Store, error: Exception) -> None:
        self.store = store
        self.error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def find(self, key: str) -> Any:
        raise self.error


@pytest.mark.parametrize("content", [LONG, LONG[-MIB:]], ids=["several", "one part"])
def test_a_file_that_cannot_be_read_back_is_stored_all_the_same(
    destination: Destination,
    long_server: VideoServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    content: bytes,
) -> None:
    long_server.content = content = content if content is LONG else FTYP + box(b"moov") + box(b"mdat", content)
    operator = destination.operator(key="x", **MOVE_AND_DELETE)
    write_only: Any = WriteOnly(operator.open_store(), PermissionError("not for you"))
    monkeypatch.setattr(operator, "open_store", lambda: write_only)
    [stored] = operator.execute({})
    assert destination.files() == {"x": content}
    assert "exists; writing it: not for you" in caplog.text
    assert "was stored, but its size could not be checked: not for you" in caplog.text
    # S3 and Google respond with the checksum of what they have (moto does not, of several parts); file systems do not.
    confirms = destination.keeps_metadata and not (content is LONG and stored["uri"].startswith("s3://"))
    assert stored["verified"] is long_server.deleted is confirms


@pytest.mark.parametrize("if_exists", ["skip", "fail"])
def test_a_key_that_cannot_be_checked_is_not_written_where_replacing_is_not_allowed(
    destination: Destination, long_server: VideoServer, monkeypatch: pytest.MonkeyPatch, if_exists: Any
) -> None:
    operator = destination.operator(key="x", if_exists=if_exists, **MOVE)
    write_only: Any = WriteOnly(operator.open_store(), PermissionError("not for you"))
    monkeypatch.setattr(operator, "open_store", lambda: write_only)
    with pytest.raises(PermissionError, match="not for you"):
        operator.execute({})
    assert long_server.requests == []


def deny_head(operator: SoraToS3Operator) -> SoraToS3Operator:
    client: Any = operator.s3_hook.get_conn()

    def deny(**_: Any) -> None:
        raise client_error("403", 403)

    client.meta.events.register("before-call.s3.HeadObject", deny)
    return operator


def test_s3_without_permission_for_head_object_is_written_to(
    s3: Any, long_server: VideoServer, caplog: pytest.LogCaptureFixture
) -> None:
    operator = deny_head(SoraToS3Operator(task_id="m", s3_key="s3://bucket/x", **MOVE))
    client: Any = operator.s3_hook.get_conn()
    parts = [LONG[at : at + 5 * MIB] for at in range(0, len(LONG), 5 * MIB)]
    joined = b"".join(zlib.crc32(part).to_bytes(4, "big") for part in parts)

    def state_checksum(parsed: dict[str, Any], **_: Any) -> None:
        """State the checksum as S3 does, and moto does not."""
        parsed["ChecksumCRC32"] = base64.b64encode(zlib.crc32(joined).to_bytes(4, "big")).decode() + "-3"

    client.meta.events.register("after-call.s3.CompleteMultipartUpload", state_checksum)
    [stored] = operator.execute({})
    assert keys(s3) == ["x"]
    assert stored["verified"] is True
    assert "s3://bucket/x was stored, but its size could not be checked: An error occurred (403)" in caplog.text


@pytest.mark.parametrize("small", [True, False], ids=["one part", "several"])
def test_s3_without_permission_for_head_object_and_without_checksums_confirms_nothing(
    s3: Any, moto: str, long_server: VideoServer, monkeypatch: pytest.MonkeyPatch, *, small: bool
) -> None:
    if small:
        long_server.content = FTYP + box(b"moov") + box(b"mdat")
    config = {"request_checksum_calculation": "when_required"}
    extra = {"endpoint_url": moto, "region_name": "us-east-1", "config_kwargs": config}
    connection = {"conn_type": "aws", "login": "x", "password": "x" * 8, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    [stored] = deny_head(SoraToS3Operator(task_id="m", s3_key="s3://bucket/x", **MOVE_AND_DELETE)).execute({})
    assert keys(s3) == ["x"]
    assert stored["verified"] is False
    assert not long_server.deleted


def test_google_without_permission_to_read_is_written_to(
    gcs: GCSServer, long_server: VideoServer, caplog: pytest.LogCaptureFixture
) -> None:
    """As the role Storage Object Creator has it."""
    destination = gcs_destination(gcs)
    gcs.fail["GET"] = 403
    [stored] = destination.operator(key="x", **MOVE).execute({})
    gcs.fail.clear()
    assert stored["verified"] is True
    assert destination.files() == {"x": LONG}
    assert "gs://bucket/x was stored, but its SHA-256 could not be written to its metadata" in caplog.text
    assert "gs://bucket/x was stored, but its size could not be checked" in caplog.text


@pytest.mark.parametrize("if_exists", ["replace", "skip", "fail"])
@pytest.mark.parametrize("long", [True, False], ids=["several", "one part"])
def test_a_folder_is_refused_and_nothing_is_left_in_it(
    tmp_path: Path, long_server: VideoServer, if_exists: Any, *, long: bool
) -> None:
    if not long:
        long_server.content = FTYP + box(b"moov") + box(b"mdat")
    (tmp_path / "x").mkdir()
    with pytest.raises(AirflowFailException, match=r"/x is a folder: add a file name to it"):
        file_destination(tmp_path).operator(key="x", if_exists=if_exists, **MOVE).execute({})
    assert [path.name for path in tmp_path.rglob("*")] == ["x"]


def test_a_key_that_names_a_folder_is_refused_before_anything_is_read(
    destination: Destination, long_server: VideoServer
) -> None:
    with pytest.raises(SoraConfigError, match="names a folder"):
        destination.operator(key="x/", **MOVE)
    operator = destination.operator(key="{{ key }}", **MOVE)
    operator.render_template_fields({"key": "x/"})  # type: ignore[typeddict-unknown-key]
    with pytest.raises(AirflowFailException, match="names a folder"):
        operator.execute({})
    assert (destination.files(), long_server.requests) == ({}, [])


def test_two_slashes_are_refused_when_the_dag_is_parsed_and_once_they_are_rendered(
    long_server: VideoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SoraConfigError, match=r"third slash: file:///mnt/x\.mp4"):
        SoraToObjectStorageOperator(task_id="m", path="file://mnt/x.mp4", **MOVE)
    operator = SoraToObjectStorageOperator(task_id="m", path="{{ key }}", **MOVE)
    operator.render_template_fields({"key": "file://mnt/x.mp4"})  # type: ignore[typeddict-unknown-key]
    with pytest.raises(AirflowFailException, match=r"third slash: file:///mnt/x\.mp4"):
        operator.execute({})
    assert list(tmp_path.iterdir()) == []
