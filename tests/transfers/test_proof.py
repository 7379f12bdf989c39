"""What is proved to be whole, and what is done where nothing proves it."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_provider_sora.compat import AirflowFailException
from airflow_provider_sora.exceptions import SoraConfigError, SoraConnectionError, SoraContentError
from airflow_provider_sora.transfers.sora_to_object_storage import SoraToObjectStorageOperator
from airflow_provider_sora.transfers.sora_to_s3 import SoraToS3Operator
from airflow_provider_sora.transfers.store import Store
from tests.media import FTYP, box
from tests.transfers.gcs_server import GCSServer
from tests.transfers.stores import LONG, keys
from tests.transfers.targets import TargetStore, file_target, gcs_target
from tests.transfers.video_server import MIB, VideoServer

MOVE: dict[str, Any] = {"video": "video_1", "sora_conn_id": "sora_long", "part_size_bytes": 5 * MIB}
MOVE_AND_DELETE: dict[str, Any] = {**MOVE, "delete_after_transfer": True}
OPEN_ENDED = FTYP + box(b"moov") + b"\x00\x00\x00\x00mdat" + bytes(1000)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr("airflow_provider_sora.api.decisions.retry.RequestRetryPolicy.pause", lambda *_: 0.0)


@pytest.mark.parametrize("measured", [True, False])
def test_a_whole_video_is_verified_and_may_be_deleted(
    target: TargetStore, long_server: VideoServer, *, measured: bool
) -> None:
    long_server.measured = measured
    [stored] = target.operator(key="x", **MOVE_AND_DELETE).execute({})
    assert stored["verified"] is True
    assert long_server.deleted
    assert target.files() == {"x": LONG}


@pytest.mark.parametrize("content", [LONG[: len(LONG) // 2], LONG[:12]], ids=["half", "twelve bytes"])
@pytest.mark.parametrize(
    ("measured", "error"), [(True, SoraContentError), (False, SoraConnectionError)], ids=["length", "no length"]
)
def test_a_broken_video_is_neither_stored_nor_deleted(
    target: TargetStore, long_server: VideoServer, content: bytes, error: Any, *, measured: bool
) -> None:
    long_server.content, long_server.measured = content, measured
    with pytest.raises(error, match="is not a complete video/mp4"):
        target.operator(key="x", **MOVE_AND_DELETE).execute({})
    assert target.files() == {}
    assert not long_server.deleted


@pytest.mark.parametrize("knows_range", [True, False], ids=["range", "no range"])
def test_a_video_without_a_length_that_breaks_off_is_whole_in_the_end(
    target: TargetStore, long_server: VideoServer, *, knows_range: bool
) -> None:
    long_server.measured, long_server.knows_range = False, knows_range
    long_server.drops = [len(LONG) // 3, len(LONG) - 1]
    [stored] = target.operator(key="x", **MOVE).execute({})
    assert target.files() == {"x": LONG}
    assert stored["verified"] is True
    assert len(long_server.requests) == 3


@pytest.mark.parametrize("content", [OPEN_ENDED, OPEN_ENDED + LONG], ids=["one part", "several"])
def test_a_video_whose_end_nothing_proves_is_stored_and_stays_on_the_server(
    target: TargetStore, long_server: VideoServer, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    long_server.content, long_server.measured = content, False
    [stored] = target.operator(key="x", **MOVE_AND_DELETE).execute({})
    assert target.files() == {"x": content}
    assert stored["verified"] is False
    assert not long_server.deleted
    assert "is whole: the server did not state its length" in caplog.text
    assert f"Video video_1 stays on the server: nothing proves that {stored['uri']} is whole" in caplog.text
    # Nor is it taken for a good copy by the next run.
    [stored] = target.operator(key="x", if_exists="skip", **MOVE_AND_DELETE).execute({})
    assert stored["verified"] is False
    assert not long_server.deleted


def test_a_variant_that_is_not_there_keeps_the_video(target: TargetStore, long_server: VideoServer) -> None:
    """The thumbnail that this server sends is a video, so that nothing of it is stored."""
    with pytest.raises(Exception, match="is no thumbnail"):
        target.operator(key="{variant}", variants=("video", "thumbnail"), **MOVE_AND_DELETE).execute({})
    assert not long_server.deleted


class Blind:
    """A store that shows nothing of what was written to it."""

    def __init__(self, store: Store, error: Exception) -> None:
        self.store = store
        self.error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def find(self, key: str) -> Any:
        raise self.error


@pytest.mark.parametrize("content", [LONG, LONG[-MIB:]], ids=["several", "one part"])
def test_a_file_that_cannot_be_looked_up_is_stored_all_the_same(
    target: TargetStore,
    long_server: VideoServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    content: bytes,
) -> None:
    long_server.content = content = content if content is LONG else FTYP + box(b"moov") + box(b"mdat", content)
    operator = target.operator(key="x", **MOVE_AND_DELETE)
    blind: Any = Blind(operator.open_store(), PermissionError("not for you"))
    monkeypatch.setattr(operator, "open_store", lambda: blind)
    [stored] = operator.execute({})
    assert target.files() == {"x": content}
    assert "cannot be looked up, and will be written: not for you" in caplog.text
    assert "is stored, but cannot be looked up: not for you" in caplog.text
    # S3 and Google answer with the checksum of what they have got (moto does not, of several parts); a file system
    # says nothing.
    proves = target.keeps_metadata and not (content is LONG and stored["uri"].startswith("s3://"))
    assert stored["verified"] is long_server.deleted is proves


@pytest.mark.parametrize("if_exists", ["skip", "fail"])
def test_what_cannot_be_looked_up_is_never_replaced_where_it_must_not_be(
    target: TargetStore, long_server: VideoServer, monkeypatch: pytest.MonkeyPatch, if_exists: Any
) -> None:
    operator = target.operator(key="x", if_exists=if_exists, **MOVE)
    blind: Any = Blind(operator.open_store(), PermissionError("not for you"))
    monkeypatch.setattr(operator, "open_store", lambda: blind)
    with pytest.raises(PermissionError, match="not for you"):
        operator.execute({})
    assert long_server.requests == []


def deny_head(operator: SoraToS3Operator) -> SoraToS3Operator:
    client: Any = operator.s3_hook.get_conn()

    def deny(**_: Any) -> None:
        answer = {"Error": {"Code": "403"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
        raise ClientError(answer, "HeadObject")

    client.meta.events.register("before-call.s3.HeadObject", deny)
    return operator


def test_s3_that_forbids_head_object_is_written_to(
    s3: Any, long_server: VideoServer, caplog: pytest.LogCaptureFixture
) -> None:
    operator = deny_head(SoraToS3Operator(task_id="m", s3_key="s3://bucket/x", **MOVE))
    client: Any = operator.s3_hook.get_conn()
    parts = [LONG[at : at + 5 * MIB] for at in range(0, len(LONG), 5 * MIB)]
    joined = b"".join(zlib.crc32(part).to_bytes(4, "big") for part in parts)

    def state(parsed: dict[str, Any], **_: Any) -> None:
        """As S3 itself does, and moto does not."""
        parsed["ChecksumCRC32"] = base64.b64encode(zlib.crc32(joined).to_bytes(4, "big")).decode() + "-3"

    client.meta.events.register("after-call.s3.CompleteMultipartUpload", state)
    [stored] = operator.execute({})
    assert keys(s3) == ["x"]
    assert stored["verified"] is True
    assert "s3://bucket/x is stored, but cannot be looked up: An error occurred (403)" in caplog.text


@pytest.mark.parametrize("small", [True, False], ids=["one part", "several"])
def test_s3_that_forbids_head_object_and_states_no_checksum_proves_nothing(
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


def test_google_that_lets_nothing_be_read_is_written_to(
    gcs: GCSServer, long_server: VideoServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The role Storage Object Creator."""
    target = gcs_target(gcs, "GCS")
    gcs.refuse["GET"] = 403
    [stored] = target.operator(key="x", **MOVE).execute({})
    gcs.refuse.clear()
    assert stored["verified"] is True
    assert target.files() == {"x": LONG}
    assert "gs://bucket/x is whole, but its SHA-256 could not be written to its metadata" in caplog.text
    assert "gs://bucket/x is stored, but cannot be looked up" in caplog.text


@pytest.mark.parametrize("if_exists", ["replace", "skip", "fail"])
@pytest.mark.parametrize("long", [True, False], ids=["several", "one part"])
def test_a_folder_is_no_target_and_nothing_is_left_in_it(
    tmp_path: Path, long_server: VideoServer, if_exists: Any, *, long: bool
) -> None:
    if not long:
        long_server.content = FTYP + box(b"moov") + box(b"mdat")
    (tmp_path / "x").mkdir()
    with pytest.raises(AirflowFailException, match=r"/x is a folder: put the name of a file behind it"):
        file_target(tmp_path).operator(key="x", if_exists=if_exists, **MOVE).execute({})
    assert [path.name for path in tmp_path.rglob("*")] == ["x"]


def test_a_key_that_names_a_folder_is_refused_before_anything_is_read(
    target: TargetStore, long_server: VideoServer
) -> None:
    with pytest.raises(SoraConfigError, match="names a folder"):
        target.operator(key="x/", **MOVE)
    operator = target.operator(key="{{ where }}", **MOVE)
    operator.render_template_fields({"where": "x/"})  # type: ignore[typeddict-unknown-key]
    with pytest.raises(AirflowFailException, match="names a folder"):
        operator.execute({})
    assert (target.files(), long_server.requests) == ({}, [])


def test_two_slashes_are_refused_when_the_dag_is_parsed_and_when_they_were_rendered(
    long_server: VideoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SoraConfigError, match=r"third slash: file:///mnt/x\.mp4"):
        SoraToObjectStorageOperator(task_id="m", path="file://mnt/x.mp4", **MOVE)
    operator = SoraToObjectStorageOperator(task_id="m", path="{{ where }}", **MOVE)
    operator.render_template_fields({"where": "file://mnt/x.mp4"})  # type: ignore[typeddict-unknown-key]
    with pytest.raises(AirflowFailException, match=r"third slash: file:///mnt/x\.mp4"):
        operator.execute({})
    assert list(tmp_path.iterdir()) == []
