"""The format of object metadata: what is written today, what earlier versions wrote, and what cannot be read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.transfers import object_metadata
from airflow_provider_sora.transfers.object_metadata import check_not_reserved
from airflow_provider_sora.transfers.store import ObjectInfo, Target
from tests.transfers.golden import FOLDER, READABLE, UNREADABLE, golden
from tests.transfers.store_inputs import CONTENT

ENCODED_ID = "video é/{1}=+"


def info(name: str) -> ObjectInfo:
    return ObjectInfo(1, "video/mp4", golden(name))


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (Target("x", "video_1", "video", "video/mp4", create_only=False), "version_1"),
        (Target("x", ENCODED_ID, "thumbnail", "image/webp", create_only=False), "version_1_encoded_id"),
    ],
)
def test_what_is_written_is_the_golden_file_of_the_current_version(target: Target, name: str) -> None:
    written = golden(name)
    content = replace(CONTENT, sha256=written["sha256"])
    assert target.metadata() | object_metadata.digest(content) == written
    assert info(name).identifies(target.video_id, target.variant)


def test_content_that_is_not_verified_gets_no_digest() -> None:
    target = Target("x", "video_1", "video", "video/mp4", create_only=False)
    assert target.metadata() | object_metadata.digest(replace(CONTENT, end_verified=False)) == golden(
        "version_1_without_digest"
    )
    assert info("version_1_without_digest").identifies("video_1", "video")
    assert info("version_1_without_digest").sha256 is None


@pytest.mark.parametrize("name", READABLE)
def test_each_known_version_is_read(name: str) -> None:
    assert info(name).metadata_problem() is None
    assert info(name).identifies("video_1", "video")
    assert not info(name).identifies("video_2", "video")
    assert not info(name).identifies("video_1", "thumbnail")
    assert info(name).sha256 == golden(name)["sha256"]


@pytest.mark.parametrize("name", UNREADABLE)
def test_newer_and_damaged_metadata_identifies_nothing_and_is_described(name: str) -> None:
    assert not info(name).identifies("video_1", "video")
    assert UNREADABLE[name] in str(info(name).metadata_problem())


@pytest.mark.parametrize("version", ["", "0", "01", "-1", "1.0", " 1", "1\n", "²", "9" * 7])
def test_a_version_that_is_not_a_plain_number_is_damage(version: str) -> None:
    metadata = golden("version_1") | {"sora-metadata-version": version}
    assert "damaged: sora-metadata-version" in str(ObjectInfo(1, "", metadata).metadata_problem())


@pytest.mark.parametrize("digest", ["", "d", "D" * 64, "d" * 63, "d" * 65, "d" * 64 + "\n", "٣" * 64])
def test_a_digest_that_is_not_a_sha256_is_damage(digest: str) -> None:
    metadata = golden("version_1") | {"sha256": digest}
    assert "damaged: sha256" in str(ObjectInfo(1, "", metadata).metadata_problem())


def test_metadata_of_other_tools_is_no_damage() -> None:
    assert info("foreign").metadata_problem() is None
    assert not info("foreign").identifies("video_1", "video")
    assert ObjectInfo(1, "", {}).metadata_problem() is None


def test_names_are_read_in_any_case_and_no_metadata_is_empty() -> None:
    assert object_metadata.with_lower_case_names({"Sora-Video-Id": "V"}) == {"sora-video-id": "V"}
    assert object_metadata.with_lower_case_names(None) == {}


def test_every_golden_file_is_tested() -> None:
    others = {"version_1_encoded_id", "version_1_without_digest", "foreign"}
    assert {file.stem for file in FOLDER.iterdir()} == {*READABLE, *UNREADABLE, *others}


@pytest.mark.parametrize("names", [["sha256"], ["team", "SHA256"], ["Sora-Video-Id", "sora-metadata-version"]])
def test_a_reserved_name_is_an_error_that_gives_it(names: Any) -> None:
    with pytest.raises(
        SoraConfigError, match=r"metadata has (sha256|SHA256|Sora-Video-Id, sora-metadata-version), which"
    ):
        check_not_reserved("metadata", names)


@pytest.mark.parametrize("names", [[], ["team"], {"cost": "b"}, ["x-sha256", 7]])
def test_other_names_are_allowed(names: Any) -> None:
    check_not_reserved("metadata", names)
