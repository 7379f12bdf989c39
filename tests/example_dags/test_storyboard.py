from __future__ import annotations

from pathlib import Path

import av
from PIL import Image

from airflow_provider_sora.emulator import Emulator
from example_dags import storyboard
from tests.dags.running import run_dag


def test_the_film_and_its_spritesheet_are_stored(sora_emulator: Emulator, airflow_db: Path, tmp_path: Path) -> None:
    sora_emulator.jobs.speed = 60
    assert run_dag(storyboard.storyboard(), target=tmp_path.as_uri(), size="64x64") == "success"
    assert {path.name for path in tmp_path.iterdir()} == {"casting.mp4", "film-video.mp4", "film-spritesheet.jpg"}
    with av.open(str(tmp_path / "film-video.mp4"), "r") as container:
        assert sum(1 for _ in container.decode(video=0)) / 24 == 4 + 4 + 4
    assert Image.open(tmp_path / "film-spritesheet.jpg").format == "JPEG"
    [character] = sora_emulator.jobs.characters.values()
    scene = next(job for job in sora_emulator.jobs.all() if job.fields.get("characters"))
    assert scene.fields["characters"] == [{"id": character.id}]
    assert sora_emulator.creates == 5
