from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_sora.api.uploads import picture
from airflow_provider_sora.exceptions import SoraConfigError

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"


def test_a_picture_gets_the_type_its_bytes_show_whatever_its_name_says(tmp_path: Path) -> None:
    path = tmp_path / "cat.jpg"
    path.write_bytes(PNG)
    upload = picture(path)
    assert (upload.filename, upload.content_type, upload.content) == ("cat.png", "image/png", PNG)


def test_a_picture_may_be_bytes() -> None:
    assert picture(PNG).filename == "reference.png"


def test_what_is_no_picture_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "notes.png"
    path.write_text("hello")
    with pytest.raises(SoraConfigError, match="'notes' is of an unknown type; it has to be JPEG, PNG or WebP"):
        picture(path)
    with pytest.raises(SoraConfigError, match="is video/mp4"):
        picture(b"\x00\x00\x00\x20ftypisom")


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(SoraConfigError, match=r"no\.png' cannot be read: No such file"):
        picture(str(tmp_path / "no.png"))
