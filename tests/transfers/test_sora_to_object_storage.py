from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.transfers.file_store import FileStore
from airflow_provider_sora.transfers.sora_to_object_storage import SoraToObjectStorageOperator


def test_the_object_has_the_type_of_its_content(video: dict[str, Any], s3: Any) -> None:
    SoraToObjectStorageOperator(task_id="m", video=video, path="s3://aws_default@bucket/x").execute({})
    assert s3.head_object(Bucket="bucket", Key="x")["ContentType"] == "video/mp4"


def test_the_connection_may_be_an_argument_of_the_operator(video: dict[str, Any], s3: Any) -> None:
    operator = SoraToObjectStorageOperator(
        task_id="m", video=video, path="s3://bucket/x", storage_conn_id="aws_default"
    )
    assert operator.execute({})[0]["uri"] == "s3://bucket/x"
    assert s3.head_object(Bucket="bucket", Key="x")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (SoraConfigError("Airflow does not work with it: install 'x<3'"), r"^Airflow does not work with it: .* 'x<3'$"),
        (ImportError("No module named 'adlfs'"), r"^path is 'abfs://b/x', which needs a library .*'adlfs'$"),
        (ValueError("no such protocol"), r"^path is 'abfs://b/x': no such protocol; install the provider that has"),
    ],
)
def test_a_path_without_a_file_system_is_an_error_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    def check(*_: Any) -> None:
        raise error

    monkeypatch.setattr(FileStore, "check", check)
    with pytest.raises(SoraConfigError, match=message):
        SoraToObjectStorageOperator(task_id="m", video="v", path="abfs://b/x").check_store()
