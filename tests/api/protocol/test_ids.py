"""Which ids name one job."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sora.api.protocol.ids import canonical_id


def wrapped(inner: str, model: str = "wan", *, padded: bool = True) -> str:
    text = f"litellm:custom_llm_provider:hosted_vllm;model_id:{model};video_id:{inner}"
    encoded = base64.b64encode(text.encode()).decode()
    return "video_" + (encoded if padded else encoded.rstrip("="))


@pytest.mark.parametrize("model", ["wan", "", "openai/wan-2.2"])
@pytest.mark.parametrize("padded", [True, False])
def test_the_upstreams_id_is_found_whatever_else_the_id_holds(model: str, padded: bool) -> None:
    assert canonical_id(wrapped("video_gen_abc123", model, padded=padded)) == "video_gen_abc123"


def test_an_id_that_was_wrapped_twice_is_unwrapped_twice() -> None:
    assert canonical_id(wrapped(wrapped("video_1"))) == "video_1"


@pytest.mark.parametrize(
    "video_id",
    [
        "video_68d7512d07848190b3e45da0ecbebcde",
        "3f2b8a1e-0c55-4a0e-9d3e-6a4e1e0f7a11",
        "video_",
        "video_====",
        "ü",
        "a;b",
    ],
)
def test_another_id_is_its_own(video_id: str) -> None:
    assert canonical_id(video_id) == video_id


def test_base64_of_something_else_is_no_wrapping() -> None:
    other = "video_" + base64.b64encode(b"video_id:someone").decode()
    assert canonical_id(other) == other


@given(st.text())
def test_no_text_breaks_it_and_none_is_unwrapped_to_nothing(text: str) -> None:
    assert canonical_id(text) or not text
