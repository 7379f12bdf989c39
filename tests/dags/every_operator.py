"""Every operator of the package, once waiting in the triggerer and once in the worker."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow_provider_sora.compat import DAG
from airflow_provider_sora.operators.sora import (
    SoraCreateCharacterOperator,
    SoraCreateVideoOperator,
    SoraDeleteVideoOperator,
    SoraEditVideoOperator,
    SoraExtendVideoOperator,
    SoraRemixVideoOperator,
)
from airflow_provider_sora.sensors.sora import SoraVideoSensor
from airflow_provider_sora.transfers.sora_to_gcs import SoraToGCSOperator
from airflow_provider_sora.transfers.sora_to_local import SoraDownloadVideoOperator
from airflow_provider_sora.transfers.sora_to_object_storage import SoraToObjectStorageOperator
from airflow_provider_sora.transfers.sora_to_s3 import SoraToS3Operator

FOLDER = "{{ dag_run.conf['folder'] }}"


def build(*, deferrable: bool) -> DAG:
    """A DAG with every operator of the package."""
    waiting: dict[str, Any] = {"deferrable": deferrable, "poll_interval": 0.1, "timeout": 60}
    start = datetime(2026, 11, 1)  # noqa: DTZ001 - Airflow adds its time zone
    with DAG(f"every_operator_{deferrable}", schedule=None, start_date=start) as dag:
        create = SoraCreateVideoOperator(
            task_id="create", prompt="{{ dag_run.conf['prompt'] }}", seconds=1, size="64x64", **waiting
        )
        clip = SoraDownloadVideoOperator(task_id="download", video=create.output, path=FOLDER + "/clip.{extension}")
        character = SoraCreateCharacterOperator(task_id="character", name="Tom", video=FOLDER + "/clip.mp4")
        clip >> character
        scene = SoraCreateVideoOperator(
            task_id="scene",
            prompt="Tom",
            seconds=1,
            size="64x64",
            characters=[character.output],
            wait_for_completion=False,
            deferrable=deferrable,
        )
        seen = SoraVideoSensor(
            task_id="wait",
            video=scene.output,
            mode="poke" if deferrable else "reschedule",
            poke_interval=0.1,
            timeout=60,
            deferrable=deferrable,
        )
        extend = SoraExtendVideoOperator(task_id="extend", video=seen.output, prompt=["a", "b"], seconds=4, **waiting)
        edit = SoraEditVideoOperator(task_id="edit", video=extend.output, prompt="at night", **waiting)
        remix = SoraRemixVideoOperator(task_id="remix", video=edit.output, prompt="a dog", **waiting)
        store = SoraToObjectStorageOperator(
            task_id="store",
            video=remix.output,
            path="file://" + FOLDER + "/film-{variant}.{extension}",
            variants=("video", "thumbnail", "spritesheet"),
        )
        s3 = SoraToS3Operator(task_id="s3", video=remix.output, s3_bucket="bucket", s3_key="film.{extension}")
        gcs = SoraToGCSOperator(task_id="gcs", video=remix.output, object_name="gs://bucket/film.{extension}")
        delete = SoraDeleteVideoOperator(task_id="delete", video=[create.output, remix.output])
        [store, s3, gcs, clip] >> delete
    return dag


deferrable_dag = build(deferrable=True)
blocking_dag = build(deferrable=False)
