"""As many videos as the run asks for, each by a mapped task that waits and ends in the triggerer."""

from __future__ import annotations

from airflow_provider_sora.compat import DAG, get_current_context, task
from airflow_provider_sora.operators.sora import SoraCreateVideoOperator

with DAG("many_videos", schedule=None, max_active_tasks=16) as dag:

    @task
    def prompts() -> list[str]:
        """One for each video."""
        conf = get_current_context()["dag_run"].conf or {}
        return [f"video number {number}" for number in range(int(conf["count"]))]

    SoraCreateVideoOperator.partial(
        task_id="create",
        sora_conn_id="sora_many",
        seconds=1,
        size="64x64",
        deferrable=True,
        poll_interval=5,
        end_from_trigger=True,
        retries=3,
    ).expand(prompt=prompts())
