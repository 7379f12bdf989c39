from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
from typing import Any

import google_crc32c
import pytest
from airflow.providers.google.cloud.hooks.gcs import GCSHook

from airflow_provider_sora.compat import AirflowFailException
from airflow_provider_sora.exceptions import SoraContentError
from airflow_provider_sora.transfers.sora_to_gcs import SoraToGCSOperator
from tests.transfers.gcs_server import GCSServer
from tests.transfers.stores import LONG, gcs_client
from tests.transfers.video_server import VideoServer


def move(video: dict[str, Any], *, long: bool, **fields: Any) -> Any:
    """The object, moved in one request or in several."""
    which: dict[str, Any] = {"video": "video_1", "sora_conn_id": "sora_long"} if long else {"video": video}
    SoraToGCSOperator(task_id="m", object_name="gs://bucket/x", **which, **fields).execute({})
    return gcs_client().bucket("bucket").get_blob("x")


@pytest.mark.parametrize("long", [False, True], ids=["one part", "several"])
@pytest.mark.parametrize(
    ("fields", "name", "expected"),
    [
        ({}, "content_type", "video/mp4"),
        ({"content_type": "application/mp4"}, "content_type", "application/mp4"),
        ({"cache_control": "max-age=60"}, "cache_control", "max-age=60"),
        ({"storage_class": "NEARLINE"}, "storage_class", "NEARLINE"),
    ],
)
def test_each_property_arrives_at_the_object(
    video: dict[str, Any],
    gcs: GCSServer,
    long_server: VideoServer,
    fields: dict[str, Any],
    name: str,
    expected: str,
    *,
    long: bool,
) -> None:
    assert getattr(move(video, long=long, **fields), name) == expected


@pytest.mark.parametrize("long", [False, True], ids=["one part", "several"])
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"kms_key_name": "projects/p/key"}, ("kmsKeyName", "projects/p/key")),
        ({"predefined_acl": "publicRead"}, ("predefinedAcl", "publicRead")),
        ({"user_project": "payer"}, ("userProject", "payer")),
        ({"if_exists": "fail"}, ("ifGenerationMatch", "0")),
        ({"if_exists": "replace"}, ("ifGenerationMatch", None)),
    ],
)
def test_each_parameter_of_a_request_arrives_at_the_store(
    video: dict[str, Any],
    gcs: GCSServer,
    long_server: VideoServer,
    fields: dict[str, Any],
    expected: tuple[str, str | None],
    *,
    long: bool,
) -> None:
    move(video, long=long, **fields)
    [query] = [query for method, path, query, _ in gcs.requests if method == "POST" and path.startswith("/upload")]
    assert query.get(expected[0], [None]) == [expected[1]]


@pytest.mark.parametrize("long", [False, True], ids=["one part", "several"])
def test_metadata_names_the_video_and_its_digest(
    video: dict[str, Any], gcs: GCSServer, long_server: VideoServer, *, long: bool
) -> None:
    blob = move(video, long=long, metadata={"team": "a"})
    content = blob.download_as_bytes()
    assert blob.metadata == {
        "team": "a",
        "sora-video-id": "video_1" if long else video["id"],
        "sora-variant": "video",
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    assert blob.crc32c == base64.b64encode(google_crc32c.Checksum(content).digest()).decode()


@pytest.mark.skipif(
    not importlib.util.find_spec("google.cloud.storage.exceptions"),
    reason="google-cloud-storage 2 sends no checksum: it compares the answer's, which raises the same DataCorruption",
)
def test_the_checksum_of_all_bytes_goes_along_with_the_last(gcs: GCSServer, long_server: VideoServer) -> None:
    move({}, long=True)
    *earlier, last = [headers for method, _, _, headers in gcs.requests if method == "PUT"]
    expected = base64.b64encode(google_crc32c.Checksum(LONG).digest()).decode()
    assert last["x-goog-hash"] == f"crc32c={expected}"
    assert not [headers for headers in earlier if "x-goog-hash" in headers]


def test_the_connection_and_whom_to_impersonate_arrive_at_the_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[dict[str, Any]] = []
    monkeypatch.setattr(GCSHook, "__init__", lambda _, **fields: made.append(fields))
    operator = SoraToGCSOperator(
        task_id="m", video="v", object_name="gs://b/k", gcp_conn_id="other", impersonation_chain=["a@p", "b@p"]
    )
    assert isinstance(operator.gcs_hook, GCSHook)
    assert made == [{"gcp_conn_id": "other", "impersonation_chain": ["a@p", "b@p"]}]


@pytest.mark.parametrize(
    ("bucket", "name"), [(None, "x"), ("bucket", "gs://bucket/x"), ("bucket", ""), (None, "gs://bucket")]
)
def test_a_target_that_will_not_do_is_named(video: dict[str, Any], bucket: str | None, name: str) -> None:
    with pytest.raises(AirflowFailException, match="give a bucket and a name, or one gs:// URL"):
        SoraToGCSOperator(task_id="m", video=video, bucket_name=bucket, object_name=name).execute({})


def test_a_digest_that_may_not_be_written_is_no_failure(
    gcs: GCSServer, long_server: VideoServer, caplog: pytest.LogCaptureFixture
) -> None:
    gcs.refuse["PATCH"] = 403
    assert move({}, long=True).download_as_bytes() == LONG
    assert "gs://bucket/x is whole, but its SHA-256 could not be written to its metadata" in caplog.text


@pytest.mark.parametrize("long", [False, True], ids=["one part", "several"])
def test_an_object_that_the_store_has_got_wrong_is_removed(
    video: dict[str, Any], gcs: GCSServer, long_server: VideoServer, monkeypatch: pytest.MonkeyPatch, *, long: bool
) -> None:
    store = gcs.storage.create_file

    def damage(bucket: str, name: str, content: bytes, obj: Any, *rest: Any, **more: Any) -> Any:
        obj["crc32c"] = "AAAAAA=="
        return store(bucket, name, content, obj, *rest, **more)

    monkeypatch.setattr(gcs.storage, "create_file", damage)
    with pytest.raises(SoraContentError, match="gs://bucket/x was damaged in transit into the store"):
        move(video, long=long)
    assert gcs_client().bucket("bucket").get_blob("x") is None


def test_a_writer_that_was_given_up_makes_nothing_visible_when_it_is_collected(
    gcs: GCSServer, long_server: VideoServer
) -> None:
    gcs.refuse["DELETE"] = 503
    gcs.refuse["bytes 8388608-"] = 403
    with pytest.raises(Exception, match="403"):
        move({}, long=True)
    gcs.refuse.clear()
    assert not list(gcs_client().list_blobs("bucket"))


def test_the_connection_reaches_the_emulator_by_its_extra(gcs: GCSServer, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {"conn_type": "google_cloud_platform", "extra": {"is_anonymous": True, "project": "other"}}
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps(connection))
    operator = SoraToGCSOperator(task_id="m", video="v", object_name="gs://bucket/k", gcp_conn_id="other")
    client: Any = operator.gcs_hook.get_conn()
    assert client.project == "other"
