"""A short film in steps: cast a character, film a scene with it, let the scene go on twice, change the light, keep it.

Every step that makes a video waits in the triggerer. The film and its spritesheet end up in ``<target>/``.
"""

from __future__ import annotations

from datetime import datetime

from airflow_provider_sora.compat import Param, dag
from airflow_provider_sora.operators.sora import (
    SoraCreateCharacterOperator,
    SoraCreateVideoOperator,
    SoraEditVideoOperator,
    SoraExtendVideoOperator,
)
from airflow_provider_sora.transfers.sora_to_object_storage import SoraToObjectStorageOperator


@dag(
    schedule=None,
    start_date=datetime(2026, 11, 1),  # noqa: DTZ001 - Airflow adds its time zone
    params={
        "target": Param("file:///tmp/film", type="string", description="Where to, e.g. s3://aws_default@bucket/film"),
        "size": Param("1280x720", type="string", description="Width and height in pixels"),
    },
    default_args={"retries": 0},
    tags=["sora", "example"],
    doc_md=__doc__,
)
def storyboard() -> None:
    """Cast, film, extend, edit, store."""
    waiting = {"deferrable": True, "poll_interval": 5.0}

    casting = SoraCreateVideoOperator(
        task_id="casting",
        prompt="Mara, a lighthouse keeper in a yellow coat, turns to the camera, plain background",
        seconds=4,
        size="{{ params.size }}",
        **waiting,
    )
    clip = SoraToObjectStorageOperator(
        task_id="clip", video=casting.output, path="{{ params.target }}/casting.{extension}"
    )
    mara = SoraCreateCharacterOperator(
        task_id="mara", name="Mara", video="{{ ti.xcom_pull(task_ids='clip')[0]['uri'] }}"
    )
    scene = SoraCreateVideoOperator(
        task_id="scene",
        prompt="Mara climbs the stairs of her lighthouse with a lamp in her hand",
        seconds=4,
        size="{{ params.size }}",
        characters=[mara.output],
        **waiting,
    )
    longer = SoraExtendVideoOperator(
        task_id="longer",
        video=scene.output,
        prompt=[
            "She opens the door to the gallery; wind and rain",
            "She lights the lamp; the beam sweeps over the sea",
        ],
        seconds=4,
        **waiting,
    )
    night = SoraEditVideoOperator(task_id="night", video=longer.output, prompt="Make it deep night", **waiting)
    store = SoraToObjectStorageOperator(
        task_id="store",
        video=night.output,
        variants=("video", "spritesheet"),
        optional_variants=("spritesheet",),  # most self-hosted servers make none
        path="{{ params.target }}/film-{variant}.{extension}",
    )
    clip >> mara
    night >> store


storyboard()
