from __future__ import annotations

from typing import Any

from airflow_provider_sora.transfers.sora_to_object_storage import SoraToObjectStorageOperator


def test_the_object_gets_its_type(video: dict[str, Any], s3: Any) -> None:
    SoraToObjectStorageOperator(task_id="m", video=video, path="s3://aws_default@bucket/x").execute({})
    assert s3.head_object(Bucket="bucket", Key="x")["ContentType"] == "video/mp4"


def test_the_connection_may_be_an_argument(video: dict[str, Any], s3: Any) -> None:
    operator = SoraToObjectStorageOperator(
        task_id="m", video=video, path="s3://bucket/x", storage_conn_id="aws_default"
    )
    assert operator.execute({})[0]["uri"] == "s3://bucket/x"
    assert s3.head_object(Bucket="bucket", Key="x")
