"""Whatever fails, the destination has the complete file or nothing: no object, no open upload, no hidden file."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from airflow_provider_sora.compat import AirflowFailException
from airflow_provider_sora.exceptions import SoraConnectionError, SoraContentError, SoraContentNotReadyError
from airflow_provider_sora.transfers.base import SoraTransferOperator
from airflow_provider_sora.transfers.sora_to_s3 import SoraToS3Operator
from airflow_provider_sora.transfers.stream import TransferStoppedError
from tests.transfers.destinations import Destination, destination_of, file_destination, gcs_destination
from tests.transfers.gcs_server import GCSServer
from tests.transfers.servers import LONG, keys, uploads
from tests.transfers.video_server import MIB, VideoServer

LONG_VIDEO: dict[str, Any] = {"video": "video_1", "sora_conn_id": "sora_long", "part_size_bytes": 5 * MIB}


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr("airflow_provider_sora.api.decisions.retry.RequestRetryPolicy.pause", lambda *_: 0.0)


@pytest.mark.parametrize("supports_ranges", [True, False], ids=["range", "no range"])
def test_a_download_that_breaks_nine_times_is_complete_in_the_end(
    destination: Destination, long_server: VideoServer, *, supports_ranges: bool
) -> None:
    long_server.supports_ranges = supports_ranges
    long_server.drops = [len(LONG) * tenth // 10 for tenth in range(1, 10)]
    [stored] = destination.operator(key="x", **LONG_VIDEO).execute({})
    assert destination.files() == {"x": LONG}
    assert stored["size_bytes"] == len(LONG)
    assert len(long_server.requests) == 10
    assert [requested for _, requested in long_server.requests if requested] == (
        [f"bytes={len(LONG) * tenth // 10}-" for tenth in range(1, 10)] if supports_ranges else []
    )


@pytest.mark.parametrize("tenth", range(1, 10))
def test_a_download_that_keeps_breaking_leaves_nothing(s3: Any, long_server: VideoServer, tenth: int) -> None:
    at = len(LONG) * tenth // 10
    long_server.supports_ranges = False
    long_server.drops = [at] * 20
    with pytest.raises(SoraConnectionError):
        SoraToS3Operator(task_id="m", s3_bucket="bucket", s3_key="x", **LONG_VIDEO).execute({})
    assert (keys(s3), uploads(s3)) == ([], [])


def keep_breaking(server: VideoServer) -> None:
    server.supports_ranges = False
    server.drops = [len(LONG) // 2] * 20


def wrong_length(server: VideoServer) -> None:
    server.extra_length = 7
    server.supports_ranges = False


def json_body(server: VideoServer) -> None:
    server.body = ("application/json", b'{"status": "pending"}')


def html_body(server: VideoServer) -> None:
    server.body = ("text/html", b"<html>Please log in</html>")


def picture(server: VideoServer) -> None:
    server.content = b"\x89PNG\r\n\x1a\n" + LONG


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (keep_breaking, SoraConnectionError),
        (wrong_length, (SoraConnectionError, SoraContentError)),
        (json_body, SoraContentNotReadyError),
        (html_body, SoraContentError),
        (picture, SoraContentError),
    ],
)
def test_content_that_is_incomplete_or_not_a_video_leaves_nothing(
    destination: Destination, long_server: VideoServer, fault: Callable[[VideoServer], None], error: Any
) -> None:
    fault(long_server)
    with pytest.raises(error):
        destination.operator(**LONG_VIDEO).execute({})
    assert destination.files() == {}


def failing(operator: SoraTransferOperator, operation: str, *, at: int = 1) -> SoraTransferOperator:
    """Let S3 refuse the call number `at` of an operation."""
    assert isinstance(operator, SoraToS3Operator)
    client: Any = operator.s3_hook.get_conn()
    calls: list[str] = []

    def refuse(request: Any, **_: Any) -> AWSResponse | None:
        calls.append(request.url)
        return AWSResponse(request.url, 403, {}, _Body()) if len(calls) == at else None

    client.meta.events.register(f"before-send.s3.{operation}", refuse)
    return operator


class _Body:
    def stream(self, *_: object, **__: object) -> list[bytes]:
        return [b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"]

    def read(self, *_: object, **__: object) -> bytes:
        return self.stream()[0]


@pytest.mark.parametrize(
    ("operation", "at"),
    [("CreateMultipartUpload", 1), *(("UploadPart", part) for part in range(1, 4)), ("CompleteMultipartUpload", 1)],
)
def test_an_error_of_any_call_to_s3_leaves_nothing(s3: Any, long_server: VideoServer, operation: str, at: int) -> None:
    operator = SoraToS3Operator(task_id="m", s3_bucket="bucket", s3_key="x", **LONG_VIDEO)
    with pytest.raises(Exception, match="AccessDenied"):
        failing(operator, operation, at=at).execute({})
    assert (keys(s3), uploads(s3)) == ([], [])


def test_the_error_of_the_upload_is_raised_although_aborting_fails_too(
    s3: Any, long_server: VideoServer, caplog: pytest.LogCaptureFixture
) -> None:
    operator = SoraToS3Operator(task_id="m", s3_bucket="bucket", s3_key="x", **LONG_VIDEO)
    failing(failing(operator, "UploadPart"), "AbortMultipartUpload")
    with pytest.raises(Exception, match="UploadPart"):
        operator.execute({})
    assert "Could not abort the upload to s3://bucket/x, parts of it may remain: " in caplog.text
    assert keys(s3) == []


def test_an_error_of_an_upload_in_one_part_leaves_nothing(video: dict[str, Any], s3: Any) -> None:
    operator = SoraToS3Operator(task_id="m", s3_bucket="bucket", s3_key="x", video=video)
    with pytest.raises(Exception, match="AccessDenied"):
        failing(operator, "PutObject").execute({})
    assert keys(s3) == []


@pytest.mark.parametrize("request_part", ["uploadType=resumable", "bytes 0-", "bytes 5242880-", f"/{len(LONG)}"])
def test_an_error_of_any_request_to_google_leaves_nothing(
    gcs: GCSServer, long_server: VideoServer, request_part: str
) -> None:
    gcs.fail[request_part] = 403
    destination = gcs_destination(gcs)
    with pytest.raises(Exception, match="403"):
        destination.operator(**LONG_VIDEO).execute({})
    gcs.fail.clear()
    assert destination.files() == {}


@pytest.mark.parametrize("kind", ["S3", "GCS", "file://"])
def test_a_kill_by_airflow_ends_all_threads_and_leaves_nothing(
    kind: str,
    request: pytest.FixtureRequest,
    long_server: VideoServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    destination = destination_of(kind, request, tmp_path)
    operator = destination.operator(**{**LONG_VIDEO, "video": ["video_1", "video_2"]})
    operator.on_kill()  # before it runs, when there is nothing to stop
    begun = threading.Event()
    store = operator.open_store()
    begin = store.begin

    def begin_and_kill(target: Any) -> Any:
        upload = begin(target)
        operator.on_kill()
        begun.set()
        return upload

    monkeypatch.setattr(store, "begin", begin_and_kill)
    monkeypatch.setattr(operator, "open_store", lambda: store)
    with pytest.raises(TransferStoppedError):
        operator.execute({})
    assert begun.is_set()
    assert destination.files() == {}


KILLED = """
import os, signal, sys, threading
from airflow_provider_sora.transfers import s3_store
from airflow_provider_sora.transfers.sora_to_s3 import SoraToS3Operator

at = int(sys.argv[1])
send = s3_store.S3Upload.send

def send_and_die(self, number, part):
    send(self, number, part)
    if number == at:
        os.kill(os.getpid(), signal.SIGKILL)

s3_store.S3Upload.send = send_and_die
SoraToS3Operator(
    task_id="m", video="video_1", sora_conn_id="sora_long", part_size_bytes=5 * 2**20, s3_bucket="bucket", s3_key="x"
).execute({})
"""


@pytest.mark.parametrize("at", [1, 2, 3])
def test_after_a_sigkill_nothing_is_visible_and_the_next_try_leaves_no_upload_open(
    s3: Any, long_server: VideoServer, at: int
) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(at)], timeout=90, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()[-2000:]
    assert (keys(s3), uploads(s3)) == ([], ["x"])
    SoraToS3Operator(task_id="m", s3_bucket="bucket", s3_key="x", **LONG_VIDEO).execute({})
    assert (keys(s3), uploads(s3)) == (["x"], [])


def test_a_hidden_file_of_a_killed_try_is_removed_and_no_other(long_server: VideoServer, tmp_path: Path) -> None:
    for name in (".x.0123abcd.part", ".y.0123abcd.part", ".x.y.0123abcd.part", "x.part"):
        (tmp_path / name).write_bytes(b"left")
    file_destination(tmp_path).operator(key="x", **LONG_VIDEO).execute({})
    assert {path.name for path in tmp_path.iterdir()} == {"x", ".y.0123abcd.part", ".x.y.0123abcd.part", "x.part"}


def test_an_object_with_too_many_parts_is_an_error(
    s3: Any, long_server: VideoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_sora.transfers.s3_store.MAX_PARTS", 2)
    operator = SoraToS3Operator(task_id="m", s3_bucket="bucket", s3_key="x", **LONG_VIDEO)
    with pytest.raises(AirflowFailException, match=re.escape("s3://bucket/x has more than 2 parts")):
        operator.execute({})
    assert (keys(s3), uploads(s3)) == ([], [])
