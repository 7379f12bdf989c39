"""`S3Store` by itself: the end of a multipart upload, whose response may be lost."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_provider_sora.exceptions import SoraTargetExistsError
from airflow_provider_sora.transfers.store import Target
from tests.transfers.fake_s3 import FakeS3, client_error
from tests.transfers.golden import UNREADABLE, golden
from tests.transfers.s3_writes import CONTENT, SHA256, WHOLE, put_in_parts, store_of, upload
from tests.transfers.store_inputs import CREATE_ONLY, IDENTITY, TARGET


@pytest.fixture
def s3() -> FakeS3:
    return FakeS3()


def complete_before(s3: FakeS3, **changes: Any) -> None:
    """Complete an upload as the first of two calls does whose response is lost."""
    s3.objects["a/x"] = {
        "body": WHOLE,
        "properties": {"Metadata": IDENTITY, "ContentType": "video/mp4"},
        "tags": {},
    } | changes


@pytest.mark.parametrize("code", ["NoSuchUpload", "PreconditionFailed", "412"])
@pytest.mark.parametrize("target", [TARGET, CREATE_ONLY])
def test_a_completion_whose_response_was_lost_is_recognized(s3: FakeS3, code: str, target: Target) -> None:
    begun = upload(store_of(s3), target)
    complete_before(s3)
    s3.fail["complete_multipart_upload"] = client_error(code, 412)
    assert begun.complete(CONTENT) is True
    assert s3.objects["a/x"]["tags"] == {"sha256": SHA256}
    assert s3.uploads == {}


def test_an_upload_that_no_longer_exists_after_a_lost_response_is_no_error(s3: FakeS3) -> None:
    begun = upload(store_of(s3))
    complete_before(s3)
    s3.fail = {
        "complete_multipart_upload": client_error("NoSuchUpload", 404),
        "abort_multipart_upload": client_error("NoSuchUpload", 404),
    }
    assert begun.complete(CONTENT) is True


def with_metadata(metadata: dict[str, str]) -> dict[str, Any]:
    return {"properties": {"Metadata": metadata}}


@pytest.mark.parametrize(
    "changes",
    [
        {"body": WHOLE + b"x"},
        {"body": WHOLE[:-1]},
        with_metadata(IDENTITY | {"sora-video-id": "video_2"}),
        with_metadata({}),
        *(with_metadata(golden(name)) for name in UNREADABLE),
    ],
    ids=str,
)
@pytest.mark.parametrize(("target", "error"), [(TARGET, ClientError), (CREATE_ONLY, SoraTargetExistsError)])
def test_an_object_that_is_not_all_of_this_video_is_not_mistaken_for_it(
    s3: FakeS3, changes: Any, target: Target, error: Any
) -> None:
    begun = upload(store_of(s3), target)
    complete_before(s3, **changes)
    s3.fail["complete_multipart_upload"] = client_error("NoSuchUpload", 404)
    with pytest.raises(error):
        begun.complete(CONTENT)
    assert s3.objects["a/x"]["tags"] == {}
    assert s3.of("abort_multipart_upload") == []


@pytest.mark.parametrize("target", [TARGET, CREATE_ONLY])
@pytest.mark.parametrize("head_error", [None, client_error("403", 403)])
def test_where_no_object_is_found_the_error_of_the_completion_is_raised(
    s3: FakeS3, target: Target, head_error: ClientError | None
) -> None:
    begun = upload(store_of(s3), target)
    s3.fail["complete_multipart_upload"] = client_error("NoSuchUpload", 404)
    if head_error:
        s3.fail["head_object"] = head_error
    with pytest.raises(ClientError, match="NoSuchUpload"):
        begun.complete(CONTENT)


def test_a_digest_that_cannot_be_written_is_no_failure(s3: FakeS3, caplog: pytest.LogCaptureFixture) -> None:
    s3.fail["put_object_tagging"] = client_error("AccessDenied", 403)
    assert put_in_parts(store_of(s3)) is True
    assert "s3://bucket/a/x was stored, but its SHA-256 could not be written as a tag" in caplog.text
