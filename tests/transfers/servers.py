"""Fixtures: finished videos, and the servers of the stores that they are moved to."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import Any

import boto3
import botocore.loaders
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

from airflow_provider_sora.emulator import Emulator
from airflow_provider_sora.hooks.sora import SoraHook
from airflow_provider_sora.manifest import VideoManifest
from tests.transfers.gcs_server import GCSServer
from tests.transfers.video_server import MIB, VideoServer, long_video


@pytest.fixture
def video(sora_emulator: Emulator) -> dict[str, Any]:
    """The manifest of a finished video."""
    job = SoraHook().create_video("a cat", seconds=1, size="64x64")
    sora_emulator.clock.advance(60)
    return VideoManifest.of(SoraHook().get_video(job.id), "sora_default").to_json()


LONG = long_video(11 * MIB + 5)  # several parts, the last one short


@pytest.fixture
def long_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[VideoServer]:
    """A video server with a long video; the connection ``sora_long`` leads to it."""
    with VideoServer(LONG) as server:
        monkeypatch.setenv("AIRFLOW_CONN_SORA_LONG", server.connection())
        yield server


@pytest.fixture
def gcs(monkeypatch: pytest.MonkeyPatch) -> Iterator[GCSServer]:
    """Google Cloud Storage with the empty bucket ``bucket``; ``google_cloud_default`` leads to it."""
    with GCSServer() as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        connection = {"conn_type": "google_cloud_platform", "extra": {"is_anonymous": True, "project": "p"}}
        monkeypatch.setenv("AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT", json.dumps(connection))
        gcs_client().create_bucket("bucket")
        server.requests.clear()
        yield server


def gcs_client() -> Any:
    """A client for the server in the environment."""
    return storage.Client(project="p", credentials=AnonymousCredentials())


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The address of an S3 server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def s3_client(moto: str) -> Iterator[Any]:
    """A client for the S3 server. Clients that operators make take S3's description from memory, too."""
    read = functools.cache(botocore.loaders.JSONFileLoader.load_file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.loaders.JSONFileLoader, "load_file", lambda _, path: read(_LOADER, path))
        login = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "us-east-1"}
        client = boto3.client("s3", endpoint_url=moto, **login)
        yield client
        client.close()


_LOADER = botocore.loaders.JSONFileLoader()


@pytest.fixture
def s3(moto: str, s3_client: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client for an S3 server with the empty bucket ``bucket``; ``aws_default`` leads to it."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    extra = {"endpoint_url": moto, "region_name": "us-east-1"}
    connection = {"conn_type": "aws", "login": "x", "password": "x" * 8, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    s3_client.create_bucket(Bucket="bucket")
    yield s3_client
    for account in s3_backends.values():
        account.reset()


def keys(s3: Any) -> list[str]:
    """The keys of the visible objects in the bucket."""
    return [item["Key"] for item in s3.list_objects_v2(Bucket="bucket").get("Contents", [])]


def uploads(s3: Any) -> list[str]:
    """The keys of multipart uploads that were neither completed nor aborted."""
    return [item["Key"] for item in s3.list_multipart_uploads(Bucket="bucket").get("Uploads", [])]
