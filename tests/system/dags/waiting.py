"""One video on the server that the run names, waited for in the triggerer."""

from __future__ import annotations

from datetime import timedelta

from airflow_provider_sora.compat import DAG
from airflow_provider_sora.operators.sora import SoraCreateVideoOperator

with DAG("waiting", schedule=None):
    SoraCreateVideoOperator(
        task_id="create",
        sora_conn_id="{{ dag_run.conf['conn_id'] }}",
        prompt="{{ dag_run.conf['prompt'] }}",
        seconds=1,
        size="64x64",
        deferrable=True,
        poll_interval=0.5,
        retries=1,
        retry_delay=timedelta(seconds=1),
    )
