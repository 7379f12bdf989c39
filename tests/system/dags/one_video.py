"""One video, made deferrably and moved to the folder that the run is given."""

from __future__ import annotations

from airflow_provider_sora.compat import DAG
from airflow_provider_sora.operators.sora import SoraCreateVideoOperator
from airflow_provider_sora.transfers.sora_to_object_storage import SoraToObjectStorageOperator

with DAG("one_video", schedule=None):
    create = SoraCreateVideoOperator(
        task_id="create", prompt="a cat", seconds=1, size="64x64", deferrable=True, poll_interval=0.5
    )
    SoraToObjectStorageOperator(
        task_id="move", video=create.output, path="{{ dag_run.conf['target'] }}/video.{extension}"
    )
