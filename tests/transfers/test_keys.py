from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.transfers.keys import check_local_path, check_template, fill_key, safe_id, safe_slug


def test_a_key_is_filled_with_id_variant_and_extension() -> None:
    assert fill_key("a/{id}-{variant}.{extension}", "video_1", "thumbnail", "image/webp") == "a/video_1-thumbnail.webp"


@pytest.mark.parametrize(
    "template", ["a/{{ ds }}/{id}", "{{ params.x['y'] }}", "a/{% if x %}b{% endif %}", None, object()]
)
def test_jinja_and_the_output_of_other_tasks_are_accepted(template: Any) -> None:
    check_template(template, ("video",))


@pytest.mark.parametrize(
    ("template", "variants", "videos", "message"),
    [
        ("a/{name}", ("video",), 1, "has {name}; it may have {id}, {slug}, {variant}, {extension}"),
        ("a/{slug}", ("video",), 1, "give the operator a slug"),
        ("a/{", ("video",), 1, "is not a template"),
        ("a/{id:{x}}", ("video",), 1, "has a field with a format or a conversion; write {id}, not {id:…}"),
        ("a/{id:>99999999999}", ("video",), 1, "has a field with a format"),
        ("a/{id!r}", ("video",), 1, "has a field with a format"),
        ("a/{id.x}{0}{}", ("video",), 1, "it may have {id}"),
        ("a/{id}", ("video", "thumbnail"), 1, "the same key: add {variant}"),
        ("a/{variant}", ("video",), 2, "would give 2 videos the same key"),
        ("a/{id}/", ("video",), 1, "names a folder: add a file name"),
        ("a/{{ ds }}/", ("video",), 1, "names a folder"),
    ],
)
def test_an_invalid_template_is_an_error_that_names_the_cause(
    template: str, variants: tuple[str, ...], videos: int, message: str
) -> None:
    with pytest.raises(SoraConfigError) as caught:
        check_template(template, variants, videos=videos)
    assert message in str(caught.value)


@given(st.text(alphabet="{}:!.[]ixdslug0/ ", max_size=20) | st.text())
def test_a_key_that_was_checked_can_be_filled(template: str) -> None:
    with suppress(SoraConfigError):
        check_template(template, ("video",), slug=True)
        fill_key(template, "video_1", "video", "video/mp4", "a-cat")


def test_a_plain_id_is_unchanged() -> None:
    assert safe_id("video_68d7512d07848190b3e45da0ecbebcde") == "video_68d7512d07848190b3e45da0ecbebcde"


def test_any_other_id_is_made_safe_and_stays_unique() -> None:
    odd = ["a/b=", "a-b-", "../../etc", ".hidden", "x" * 300, "x" * 299]
    safe = [safe_id(value) for value in odd]
    assert len(set(safe)) == len(odd)
    assert all(len(value) <= 80 and "/" not in value and not value.startswith(".") for value in safe)


def test_a_slug_distinguishes_videos_as_an_id_does() -> None:
    check_template("{slug}", ("video",), slug=True, videos=2)
    assert fill_key("{slug}.{extension}", "v", "video", "video/mp4", "a-cat") == "a-cat.mp4"


@pytest.mark.parametrize(
    ("text", "slug"),
    [("A cat, at night!", "a-cat-at-night"), ("Übergröße", "ubergroe"), ("../../x", "x"), ("a" * 200, "a" * 80)],
)
def test_a_slug_is_safe_in_a_path(text: str, slug: str) -> None:
    assert safe_slug(text) == slug


def test_a_slug_without_a_safe_character_is_an_error() -> None:
    with pytest.raises(SoraConfigError, match="has no letter or digit"):
        safe_slug("猫")


@pytest.mark.parametrize(
    "template", ["a/../{id}", "../{id}", "s3://bucket/../{id}", "a\n{id}", "a" * 1025 + "{id}", "a/", "a/.", "/"]
)
def test_a_rendered_key_that_is_not_a_safe_path_is_an_error(template: str) -> None:
    with pytest.raises(SoraConfigError, match="is not a safe path"):
        fill_key(template, "v", "video", "video/mp4")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("file://mnt/videos/{id}.mp4", "third slash: file:///mnt/videos/{id}.mp4"),
        ("file://localhost/mnt/{id}.mp4", "third slash"),
        ("FILE://mnt/{id}.mp4", "third slash: FILE:///mnt/{id}.mp4"),
        ("local://mnt/{{ ds }}/{id}.mp4", "third slash: local:///mnt/{{ ds }}/{id}.mp4"),
        ("file://", "third slash"),
        ("mnt/{id}.mp4", "has to be absolute, or a URL"),
        ("file:/mnt/{id}.mp4", "has to be absolute, or a URL"),
        ("./{id}.mp4", "has to be absolute, or a URL"),
        ("~/{id}.mp4", "has to be absolute, or a URL"),
    ],
)
def test_a_relative_local_path_is_an_error(path: str, message: str) -> None:
    with pytest.raises(SoraConfigError) as caught:
        check_local_path(path)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "path",
    ["file:///mnt/{id}", "local:///x", "/mnt/{id}", "s3://mnt/{id}", "memory://mnt/x", "sftp://host/x", "{{ ds }}/x",
     "file://{{ params.root }}/x", "{% if x %}a{% endif %}", "{# x #}a", None, object()],
)  # fmt: skip
def test_other_paths_are_accepted(path: Any) -> None:
    check_local_path(path)
