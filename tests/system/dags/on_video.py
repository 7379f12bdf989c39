"""Runs for each video that somebody else has made (Airflow 3)."""

from __future__ import annotations

from typing import Any

from airflow_provider_sora.compat import AIRFLOW_V_3_0_PLUS

if AIRFLOW_V_3_0_PLUS:
    from airflow.sdk import DAG, Asset, AssetWatcher, task

    from airflow_provider_sora.triggers.completed import SoraVideoCompletedTrigger

    trigger = SoraVideoCompletedTrigger(sora_conn_id="sora_running", poll_interval=1)
    videos = Asset("videos_made_elsewhere", watchers=[AssetWatcher(name="videos", trigger=trigger)])

    with DAG("on_video", schedule=[videos]) as dag:

        @task
        def take(triggering_asset_events: Any = None) -> int:
            """How many videos have started this run."""
            return sum(len(events) for events in triggering_asset_events.values())

        take()
