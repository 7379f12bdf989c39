"""Videos made by mapped tasks, some from the same prompt, and moved by mapped tasks."""

from __future__ import annotations

from datetime import datetime

from airflow_provider_sora.compat import DAG
from airflow_provider_sora.operators.sora import SoraCreateVideoOperator
from airflow_provider_sora.transfers.sora_to_local import SoraDownloadVideoOperator

with DAG("mapped", schedule=None, start_date=datetime(2026, 11, 1)) as dag:  # noqa: DTZ001 - Airflow adds its time zone
    create = SoraCreateVideoOperator.partial(
        task_id="create", seconds=1, size="64x64", deferrable=True, poll_interval=0.1, end_from_trigger=True
    ).expand(prompt=["a cat", "a cat", "a dog"])
    SoraDownloadVideoOperator.partial(task_id="move", path="{{ dag_run.conf['folder'] }}/{id}.{extension}").expand(
        video=create.output
    )
