from __future__ import annotations

import importlib
import logging
import pkgutil
from typing import Any

import httpx
import pytest

import airflow_provider_sora
from airflow_provider_sora import masking
from airflow_provider_sora.api.http.config import SoraConfig
from airflow_provider_sora.exceptions import SoraConfigError, SoraVideoFailedError
from airflow_provider_sora.masking import bare_url, mask_chain, masked, masked_logs, masked_start, quoted, remember


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://user:pass@host/x?signature=1", "https://host/x"),
        ("user:pass@host?x", "host"),
        ("https://user:p/a@[::1?s=1", "https://[::1"),
        ("https://user:pass@[::1#s", "https://[::1"),
        ("https://user:p?a@host", "https://***"),
        ("https://host?mail=a@b", "https://host"),
        ("https://host:8000/@user/x", "https://host:8000/@user/x"),
        ("https://[::1]:80/x#a", "https://[::1]:80/x"),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret(url: str, words: str) -> None:
    assert bare_url(url) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "GET https://host/v1/videos?limit=5&k=v&after=a failed",
            "GET https://host/v1/videos?limit=5&k=***&after=a failed",
        ),
        ("https://host/x?X-Amz-Signature=a&flag#token=b", "https://host/x?X-Amz-Signature=***&***#token=***"),
        ("at 'https://u:p@host/x?a'", "at 'https://host/x?***'"),
        ("s3://conn@bucket/key stays", "s3://conn@bucket/key stays"),
        ("ftp://u:p@host/x goes", "ftp://host/x goes"),
        ("/x?sig=abc&se=1 and access_token=abc", "/x?sig=***&se=1 and access_token=***"),
        ("a = b, x=y", "a = b, x=y"),
        ("", ""),
    ],
)
def test_what_urls_carry_is_masked_in_any_text(text: str, words: str) -> None:
    assert masked(text) == words


def test_what_a_connection_holds_is_masked_in_every_form() -> None:
    key = 'it\'s "a" <key>/Ü&'
    remember(key, [("X-Token", "Bearer  tok-en12345 "), ("model", "sora-2-pro"), ("X", "short")])
    for form in (key, repr(key), str([key]), quoted(key), "it%27s%20%22a%22%20%3Ckey%3E%2F%C3%9C%26"):
        assert "key" not in masked(form)
        assert masking.MASK in masked(form)
    assert masked("tok-en12345 and sora-2-pro and short") == "*** and sora-2-pro and short"


def test_keys_that_are_parts_of_words_are_not_masked() -> None:
    remember("the", [("X", "example")])
    assert masked("these examples") == "these examples"


def test_only_so_many_secrets_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "_MAX_FORMS", 3)
    monkeypatch.setattr(masking, "_forms", {})
    monkeypatch.setattr(masking, "_known", None)
    for number in (0, 1, 2, 3, 2, 4):
        remember(f"secret-{number}")
    assert list(masking._forms) == ["secret-3", "secret-2", "secret-4"]


@pytest.mark.parametrize("text", ["it is started-se", "it is started-secret", "it is start"])
def test_a_start_may_end_within_a_secret(text: str) -> None:
    remember("started-secret")
    assert masked_start(text) == "it is ***"
    assert masked_start("it is sta") == "it is sta"


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("a" * 9, "'aaaaa…'"),
        (7, "7"),
        (Unshowable(), "<Unsh…"),
        (["b"], "['b']"),
        pytest.param(10**5000, "<int>", id="long"),
        ("https://u:p@h", "'https…'"),
    ],
)
def test_a_value_is_quoted_in_bounds(value: Any, words: str) -> None:
    assert quoted(value, 5) == words


def test_what_an_error_says_is_bounded() -> None:
    error = SoraVideoFailedError("v", "c" * 10**5, "m" * 10**5)
    assert max(len(str(error)), len(error.code), len(error.message)) <= 8001


def test_no_half_of_a_secret_is_left_where_a_text_is_cut() -> None:
    remember("half-of-a-secret")
    assert "half" not in quoted("x" * 90 + "half-of-a-secret")


def test_an_error_is_masked_with_all_that_it_came_from() -> None:
    remember("chained-secret")
    first, second = ValueError("b'chained-secret'", 5), KeyError("chained-secret")
    first.__cause__, second.__context__ = second, first
    mask_chain(first)
    assert (first.args, second.args) == (("b'***'", 5), ("***",))


def test_httpx_logs_our_urls_masked_and_those_of_others_as_they_are(caplog: pytest.LogCaptureFixture) -> None:
    masking.install()
    caplog.set_level("INFO", "httpx")
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200))) as client:
        client.get("https://host/x?theirs=1")
        with masked_logs():
            client.get("https://host/x?ours=1")
    assert [record.getMessage().split('"')[0] for record in caplog.records] == [
        "HTTP Request: GET https://host/x?theirs=1 ",
        "HTTP Request: GET https://host/x?ours=*** ",
    ]


def test_each_logger_of_this_package_masks(caplog: pytest.LogCaptureFixture) -> None:
    loggers = []
    for module in pkgutil.walk_packages(airflow_provider_sora.__path__, "airflow_provider_sora."):
        if ".emulator" not in module.name:
            loggers += [v for v in vars(importlib.import_module(module.name)).values() if isinstance(v, logging.Logger)]
    assert len(loggers) >= 5
    remember("logged-secret")
    for logger in loggers:
        logger.error("%s came", "logged-secret", exc_info=ValueError("logged-secret"))
    assert "logged-secret" not in caplog.text
    assert caplog.text.count("ValueError: ***") == len(loggers)


@pytest.mark.parametrize(
    "host",
    [
        "https://user:KEY@[::1",
        "https://user:K/EY@host",
        "https://user:K EY@host",
        "user:KEY@host",
        "https://h/?k=KEY",
        "https://user:K?EY@host",
        "https://K@EY@host:x",
        "https://KEY/KEY@host",
    ],
)
def test_a_host_that_will_not_do_is_named_without_its_password(host: str) -> None:
    with pytest.raises(SoraConfigError, match="is not a base URL") as caught:
        SoraConfig(host)
    assert "K" not in str(caught.value).partition(" is not a base URL")[0]
    assert "EY" not in str(caught.value)
