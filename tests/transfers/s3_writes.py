"""Writes to `S3Store` on a client in memory, in one part and in several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_sora.api.content.reading import Content
from airflow_provider_sora.transfers.s3_store import S3Store
from airflow_provider_sora.transfers.store import Target, Upload
from tests.transfers.fake_s3 import FakeS3
from tests.transfers.store_inputs import TARGET, content_of, part_of

PARTS = (b"first part, ", b"second part")
WHOLE = b"".join(PARTS)
CONTENT = content_of(WHOLE)
UNVERIFIED = replace(CONTENT, end_verified=False)
SHA256 = CONTENT.sha256


def store_of(s3: FakeS3, *, tags: dict[str, str] | None = None, workers: int = 3, **arguments: Any) -> S3Store:
    return S3Store(s3, "bucket", arguments, tags or {}, workers)


def put(store: S3Store, target: Target = TARGET, content: Content = CONTENT) -> bool:
    """Write the content in one part."""
    return store.put(target, content, part_of(WHOLE))


def upload(store: S3Store, target: Target = TARGET) -> Upload:
    """An upload whose parts were sent, the last one first."""
    begun = store.begin(target)
    for number in (2, 1):
        begun.send(number, part_of(PARTS[number - 1]))
    return begun


def put_in_parts(store: S3Store, target: Target = TARGET, content: Content = CONTENT) -> bool:
    """Write the content in two parts."""
    return upload(store, target).complete(content)


Write = Callable[..., bool]
either_way = pytest.mark.parametrize("write", [put, put_in_parts])
