from __future__ import annotations

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sora.api.decisions.polling import PollAgain, Wait, on_error, on_status
from airflow_provider_sora.api.poller.rate_limit import RateLimit
from airflow_provider_sora.api.protocol import pause_limits
from airflow_provider_sora.api.protocol.error_mapping import retry_after_seconds, status_error
from airflow_provider_sora.api.protocol.models import Video
from airflow_provider_sora.api.protocol.requests import ListVideos
from airflow_provider_sora.api.protocol.response import Response
from tests.api.conftest import job

NOW = 1_700_000_000.0
WAIT = Wait("video_1", deadline=math.inf, poll_interval_seconds=10)
DAY, HOUR = 86_400.0, 3600.0

hostile = st.one_of(
    st.text(max_size=40),
    st.integers(min_value=-(10**20), max_value=10**400).map(str),
    st.floats().map(str),
    st.sampled_from(
        [
            "315360000",
            "1764000000000",
            "Fri, 31 Dec 9999 23:59:59 GMT",
            "Fri, 31 Dec 99999 23:59:59 GMT",
            "Mon, 01 Jan 0001 00:00:00 +2359",
            "Mon, 01 Jan 0001 00:00:00 GMT",
            "inf",
            "-inf",
            "nan",
            "-1",
            "1e999",
            ".",
            "١٢",
        ]
    ),
)
headers = st.dictionaries(
    st.sampled_from(["retry-after", "retry-after-ms", "openai-poll-after-ms", "date"]), hostile, max_size=4
)


@given(headers)
def test_whatever_headers_say_no_pause_is_out_of_bounds(headers: dict[str, str]) -> None:
    asked = retry_after_seconds(headers, NOW)
    assert asked is None or 0 <= asked <= DAY
    hint = Response(NOW, 200, headers).hint_seconds
    assert hint is None or 1 <= hint <= HOUR
    look = on_status(WAIT, Video.model_validate(job("queued")), 0, hint_seconds=hint)
    assert isinstance(look, PollAgain)
    assert 1 <= look.seconds <= HOUR
    for code in (429, 500, 503):
        failed = on_error(WAIT, status_error(ListVideos(), Response(NOW, code, headers)), 0)
        assert isinstance(failed, PollAgain)
        assert 1 <= failed.seconds <= HOUR
    limit = RateLimit()
    limit.refused(0, asked)
    assert 1 <= limit.blocked_until <= HOUR
    assert timedelta(seconds=pause_limits.retry_pause(asked or 0)) <= timedelta(days=1)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 0, -5, 1e300, 0.001])
def test_any_number_is_brought_within_bounds(value: float) -> None:
    assert 1 <= pause_limits.poll_pause(value) <= HOUR
    assert 0 <= pause_limits.retry_pause(value) <= DAY


def test_an_interval_of_the_users_own_may_be_shorter_than_a_second() -> None:
    assert pause_limits.poll_pause(0.05, interval=0.05) == 0.05
    assert pause_limits.poll_pause(7200, interval=7200) == HOUR


def test_a_date_is_compared_with_the_servers_own_clock() -> None:
    headers = {"retry-after": "Tue, 14 Nov 2023 23:13:30 GMT", "date": "Tue, 14 Nov 2023 23:13:20 GMT"}
    assert retry_after_seconds(headers, NOW) == 10
