"""Certificates are checked wherever anything is encrypted, and CA bundles are read as seldom as possible."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_sora.api.client import AsyncSoraClient, SoraClient
from airflow_provider_sora.api.decisions.retry import RequestRetryPolicy
from airflow_provider_sora.api.http import certificates
from airflow_provider_sora.api.http.config import SoraConfig
from airflow_provider_sora.api.http.http_codec import ssl_context
from airflow_provider_sora.api.protocol.requests import DownloadContent
from airflow_provider_sora.exceptions import SoraConfigError, SoraConnectionError
from benchmarks.certificate import make_certificate
from tests.http_server import LoopbackServer
from tests.media import mp4

MP4 = mp4(1012)
ONCE = RequestRetryPolicy(attempts=1)


class Reads:
    """Keeps by which threads contexts were made.

    :ivar company: a barrier at which a read waits for another one
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.threads: list[threading.Thread] = []
        self.company: threading.Barrier | None = None
        self._make = ssl.create_default_context
        monkeypatch.setattr(ssl, "create_default_context", self._recorded)

    @property
    def count(self) -> int:
        return len(self.threads)

    def _recorded(self, *arguments: Any, **named: Any) -> ssl.SSLContext:
        self.threads.append(threading.current_thread())
        if self.company:
            with contextlib.suppress(threading.BrokenBarrierError):
                self.company.wait(0.2)
        return self._make(*arguments, **named)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reads]:
    """No context is there yet."""
    certificates._make.cache_clear()
    yield Reads(monkeypatch)
    certificates._make.cache_clear()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA bundle; beside it is the certificate of the server that it is for."""
    return make_certificate(tmp_path_factory.mktemp("certificates"))[0]


@pytest.mark.parametrize("own", [True, False], ids=["own bundle", "system's bundle"])
def test_clients_with_the_same_bundle_share_one_context(reads: Reads, bundle: Path, *, own: bool) -> None:
    verify: bool | str = str(bundle) if own else True
    with SoraClient(SoraConfig("https://one", verify=verify)), SoraClient(SoraConfig("https://two", verify=verify)):
        assert reads.count == 1
    first, second = (ssl_context(SoraConfig(f"https://{host}", verify=verify)) for host in ("one", "two"))
    assert first is second
    assert reads.count == 1


def test_threads_that_need_a_context_at_once_wait_for_the_first(reads: Reads, bundle: Path) -> None:
    config = SoraConfig("https://host", verify=str(bundle))
    reads.company = threading.Barrier(2)
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: id(ssl_context(config)), range(8)))
    assert len(made) == reads.count == 1


def test_a_bundle_that_was_replaced_is_read_again(reads: Reads, bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    config = SoraConfig("https://host", verify=str(path))
    shutil.copy(bundle, path)
    first = ssl_context(config)
    assert ssl_context(config) is first
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    second = ssl_context(config)
    assert second is not first
    shutil.copy(bundle, tmp_path / "new.pem")
    os.utime(tmp_path / "new.pem", ns=(0, path.stat().st_mtime_ns))  # as a mounted secret is replaced: another file
    (tmp_path / "new.pem").replace(path)
    assert ssl_context(config) is not second
    assert reads.count == 3


def test_the_systems_bundle_may_be_named_by_the_environment(
    reads: Reads, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = SoraConfig("https://host")
    usual = ssl_context(config)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    named = ssl_context(config)
    assert isinstance(named, ssl.SSLContext)
    assert named is not usual
    assert named.cert_store_stats()["x509_ca"] == 1


def test_contexts_that_nobody_used_for_long_are_dropped(reads: Reads, bundle: Path, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.pem" for number in range(certificates._MOST_CONTEXTS + 1)]
    for path in paths:
        shutil.copy(bundle, path)
        ssl_context(SoraConfig("https://host", verify=str(path)))
    ssl_context(SoraConfig("https://host", verify=str(paths[0])))
    assert reads.count == len(paths) + 1


def test_over_plain_http_nothing_is_read(reads: Reads) -> None:
    with SoraClient(SoraConfig("http://127.0.0.1:1"), ONCE) as client, pytest.raises(SoraConnectionError):
        list(client.list_videos())

    async def use() -> None:
        async with await AsyncSoraClient.create(SoraConfig("http://127.0.0.1:1"), ONCE) as client:
            with pytest.raises(SoraConnectionError):
                _ = [video async for video in client.list_videos()]

    asyncio.run(use())
    assert reads.count == 0


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("path", ["missing.pem", "a\0b"])
def test_a_bundle_that_is_not_there_is_named_before_anything_is_sent(tmp_path: Path, scheme: str, path: str) -> None:
    config = SoraConfig(f"{scheme}://host", verify=str(tmp_path / path))
    with pytest.raises(SoraConfigError, match=r"verify is '.*', which is no CA bundle"):
        SoraClient(config)


def test_a_bundle_that_holds_no_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    config = SoraConfig("https://host", verify=str(tmp_path / "ca.pem"))
    with pytest.raises(SoraConfigError, match=r"verify is '.*ca\.pem', which is no CA bundle"):
        SoraClient(config)


class _Host(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(MP4)))
        self.send_header("Content-Type", "video/mp4")
        self.end_headers()
        self.wfile.write(MP4)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def elsewhere(bundle: Path) -> Iterator[str]:
    """Another host, over TLS."""
    server = LoopbackServer(_Host)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundle.with_name("server.pem"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with server:
        yield server.url.replace("http:", "https:")


@pytest.fixture
def plain(elsewhere: str) -> Iterator[str]:
    """A server over plain HTTP, whose content is elsewhere."""

    class Handler(_Host):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", f"{elsewhere}/x.mp4")
            self.send_header("Content-Length", "0")
            self.end_headers()

    with LoopbackServer(Handler) as server:
        yield server.url


def read(config: SoraConfig) -> bytes:
    with SoraClient(config, ONCE) as client:
        return b"".join(client.read_content(DownloadContent(video_id="v")))


def read_on_a_loop(config: SoraConfig) -> bytes:
    async def use() -> bytes:
        async with await AsyncSoraClient.create(config, ONCE) as client:
            return b"".join([chunk async for chunk in client.read_content(DownloadContent(video_id="v"))])

    return asyncio.run(use())


@pytest.mark.parametrize("how", [read, read_on_a_loop])
def test_a_plain_servers_content_over_tls_is_checked_nevertheless(
    reads: Reads, plain: str, bundle: Path, how: Any
) -> None:
    assert how(SoraConfig(plain, verify=str(bundle), allow_private_urls=True)) == MP4
    assert reads.count == 1
    with pytest.raises(SoraConnectionError, match="certificate verify failed"):
        how(SoraConfig(plain, allow_private_urls=True))
    assert reads.count == 2
    assert how(SoraConfig(plain, verify=False, allow_private_urls=True)) == MP4
    assert reads.count == 2


def test_an_event_loop_does_not_wait_for_the_bundle(reads: Reads, plain: str, bundle: Path) -> None:
    assert read_on_a_loop(SoraConfig(plain, verify=str(bundle), allow_private_urls=True)) == MP4
    assert reads.threads
    assert threading.main_thread() not in reads.threads


@pytest.mark.parametrize("how", ["https", "lazy"])
def test_only_http_1_is_negotiated(reads: Reads, bundle: Path, how: str) -> None:
    context = certificates.tls_context(str(bundle)) if how == "https" else certificates.LazyTLSContext(str(bundle))
    client = context.wrap_bio(ssl.MemoryBIO(), out := ssl.MemoryBIO(), server_hostname="host")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    assert b"\x08http/1.1" in out.read()
