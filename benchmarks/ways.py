"""The ways within Python from a video to an object; each is imported only by the process that measures it."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any

BUCKET = "bucket"
TOKEN = "benchmark"  # noqa: S105 - no server of ours looks at it

Move = Callable[[str, str], None]  # of a video's id and a key


def ours() -> Move:
    """This provider's operator, made anew for each video as a task makes it."""
    operator = import_module("airflow_provider_sora.transfers.sora_to_s3").SoraToS3Operator
    import_module("airflow.providers.amazon.aws.hooks.s3")
    import_module("boto3")

    def move(video: str, key: str) -> None:
        operator(task_id="move", video=video, s3_bucket=BUCKET, s3_key=key).execute({})

    return move


def http_to_s3() -> Move:
    """The Amazon provider's own operator."""
    operator = import_module("airflow.providers.amazon.aws.transfers.http_to_s3").HttpToS3Operator
    import_module("boto3")

    def move(video: str, key: str) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        endpoint = f"v1/videos/{video}/content"
        task = operator(task_id="move", endpoint=endpoint, headers=headers, s3_bucket=BUCKET, s3_key=key)
        task.execute({})

    return move


def boto3_upload() -> Move:
    """What one writes by hand: the client is kept from one video to the next."""
    boto3: Any = import_module("boto3")
    requests: Any = import_module("requests")
    client = boto3.client("s3", endpoint_url=os.environ["BENCHMARK_STORE"])

    def move(video: str, key: str) -> None:
        url = f"{os.environ['BENCHMARK_VIDEOS']}/v1/videos/{video}/content"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with requests.get(url, headers=headers, stream=True, timeout=60) as answer:
            answer.raise_for_status()
            client.upload_fileobj(answer.raw, BUCKET, key)

    return move


WAYS: dict[str, Callable[[], Move]] = {"boto3": boto3_upload, "http_to_s3": http_to_s3, "ours": ours}
