from __future__ import annotations

import signal
import subprocess
import sys
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from botocore.exceptions import ClientError

from airflow_provider_sora.transfers.sora_to_s3 import SoraToS3Operator
from tests.transfers.stores import keys, uploads


def test_a_url_holds_bucket_and_key(video: dict[str, Any], s3: Any) -> None:
    [stored] = SoraToS3Operator(task_id="move", video=video, s3_key="s3://bucket/x.{extension}").execute({})
    assert stored["uri"] == "s3://bucket/x.mp4"


def test_type_and_extra_args_arrive_at_the_store(video: dict[str, Any], s3: Any) -> None:
    arguments = {"CacheControl": "max-age=60", "Metadata": {"team": "a"}, "StorageClass": "STANDARD_IA"}
    SoraToS3Operator(task_id="m", video=video, s3_bucket="bucket", s3_key="x", extra_args=arguments).execute({})
    head = s3.head_object(Bucket="bucket", Key="x")
    assert (head["ContentType"], head["CacheControl"], head["StorageClass"]) == (
        "video/mp4",
        "max-age=60",
        "STANDARD_IA",
    )
    assert head["Metadata"] == {"team": "a"}


def test_the_connection_and_verify_arrive_at_the_hook() -> None:
    hook = SoraToS3Operator(task_id="m", video="v", s3_key="s3://b/k", aws_conn_id="other", verify="/ca.pem").s3_hook
    assert (hook.aws_conn_id, hook._verify) == ("other", "/ca.pem")


@pytest.mark.parametrize(
    ("bucket", "key"), [(None, "x"), ("bucket", "s3://bucket/x"), ("bucket", ""), (None, "s3://bucket")]
)
def test_a_target_that_will_not_do_is_named(video: dict[str, Any], bucket: str | None, key: str) -> None:
    with pytest.raises(AirflowFailException, match="give a bucket and a key, or one s3:// URL"):
        SoraToS3Operator(task_id="m", video=video, s3_bucket=bucket, s3_key=key).execute({})


def begin(s3: Any, key: str) -> None:
    upload = s3.create_multipart_upload(Bucket="bucket", Key=key)["UploadId"]
    s3.upload_part(Bucket="bucket", Key=key, UploadId=upload, PartNumber=1, Body=b"x")


def test_an_upload_that_a_killed_try_has_left_is_aborted_and_no_other(video: dict[str, Any], s3: Any) -> None:
    for key in ("x", "x-other"):
        begin(s3, key)
    SoraToS3Operator(task_id="m", video=video, s3_bucket="bucket", s3_key="x").execute({})
    assert uploads(s3) == ["x-other"]
    assert keys(s3) == ["x"]


def test_a_store_that_does_not_list_uploads_is_written_to_all_the_same(
    video: dict[str, Any], s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = SoraToS3Operator(task_id="m", video=video, s3_bucket="bucket", s3_key="x")
    client = operator.s3_hook.get_conn()

    def deny(_: str) -> Any:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "ListMultipartUploads")

    monkeypatch.setattr(client, "get_paginator", deny)
    monkeypatch.setattr(operator.s3_hook, "get_conn", lambda: client)
    operator.execute({})
    assert keys(s3) == ["x"]


KILLED = """
import os, signal, time
from airflow_provider_sora.api.client import SoraClient
from airflow_provider_sora.transfers.sora_to_s3 import SoraToS3Operator

def chunks(*_):
    yield bytes.fromhex("00000020") + b"ftypisom" + bytes(24 * 2**20)
    while not open_uploads():
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGKILL)

def open_uploads():
    return operator.s3_hook.get_conn().list_multipart_uploads(Bucket="bucket").get("Uploads")

SoraClient.read_content = chunks
operator = SoraToS3Operator(task_id="m", video="video_1", s3_bucket="bucket", s3_key="x")
operator.execute({})
"""


def test_a_sigkill_in_the_middle_of_an_upload_shows_nothing_and_the_next_try_leaves_no_upload_open(
    video: dict[str, Any], s3: Any
) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED], timeout=60, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()[-2000:]
    assert (keys(s3), uploads(s3)) == ([], ["x"])
    SoraToS3Operator(task_id="m", video=video, s3_bucket="bucket", s3_key="x").execute({})
    assert (keys(s3), uploads(s3)) == (["x"], [])
