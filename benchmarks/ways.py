"""The ways to move a video to an object in Python; each is imported only by the process that measures it."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

BUCKET = "bucket"
TOKEN = "benchmark"  # noqa: S105 - the servers do not check it

log = logging.getLogger(__name__)

Move = Callable[[str, str], None]  # called with a video's id and a key


def ours() -> Move:
    """This provider's operator, a new one for each video, as in a task."""
    operator = import_module("airflow_provider_sora.transfers.sora_to_s3").SoraToS3Operator
    import_module("airflow.providers.amazon.aws.hooks.s3")
    import_module("boto3")

    def move(video: str, key: str) -> None:
        operator(task_id="move", video=video, s3_bucket=BUCKET, s3_key=key).execute({})

    return move


def ours_bare() -> Move:
    """What the operator does, without Airflow, whose start is not part of moving a video."""
    boto3: Any = import_module("boto3")
    config: Any = import_module("airflow_provider_sora.api.http.config")
    client: Any = import_module("airflow_provider_sora.api.client")
    requests: Any = import_module("airflow_provider_sora.api.protocol.requests")
    pipeline: Any = import_module("airflow_provider_sora.transfers.pipeline")
    store: Any = import_module("airflow_provider_sora.transfers.s3_store")
    stream: Any = import_module("airflow_provider_sora.transfers.stream")
    progress: Any = import_module("airflow_provider_sora.transfers.progress")
    bucket = store.S3Store(boto3.client("s3", endpoint_url=os.environ["BENCHMARK_STORE"]), BUCKET, {}, {}, workers=4)
    videos = client.SoraClient(config.SoraConfig(f"{os.environ['BENCHMARK_VIDEOS']}/v1", api_key=TOKEN))

    def move(video: str, key: str) -> None:
        read = partial(videos.read_content, requests.DownloadContent(video_id=video))
        target = pipeline.Target(key, video, "video", "video/mp4", create_only=False)
        with stream.ContentStream(read, progress.Progress(video, log), threading.Event()) as content:
            pipeline.upload(content, lambda: bucket, target, pipeline.PartPool(5, 8 << 20))

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
    """What one writes by hand; the client is reused for the next video."""
    boto3: Any = import_module("boto3")
    requests: Any = import_module("requests")
    client = boto3.client("s3", endpoint_url=os.environ["BENCHMARK_STORE"])

    def move(video: str, key: str) -> None:
        url = f"{os.environ['BENCHMARK_VIDEOS']}/v1/videos/{video}/content"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with requests.get(url, headers=headers, stream=True, timeout=60) as response:
            response.raise_for_status()
            client.upload_fileobj(response.raw, BUCKET, key)

    return move


WAYS: dict[str, Callable[[], Move]] = {
    "boto3": boto3_upload,
    "http_to_s3": http_to_s3,
    "ours": ours,
    "ours_bare": ours_bare,
}
