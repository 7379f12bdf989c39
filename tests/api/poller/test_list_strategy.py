from __future__ import annotations

from airflow_provider_sora.api.poller.list_strategy import ListStrategy
from airflow_provider_sora.api.poller.rate_limit import MAX_BLOCK_SECONDS, RateLimit


def test_the_list_pays_where_it_takes_fewer_requests() -> None:
    use = ListStrategy()
    assert [use.is_cheaper(due, depth, 0) for due, depth in ((0, 0), (1, 0), (2, 0), (2, 99), (2, 100), (3, 100))] == [
        False,
        False,
        True,
        True,
        False,
        True,
    ]


def test_a_list_that_failed_is_left_alone_for_ten_minutes() -> None:
    use = ListStrategy()
    use.record_failure(1000, may_pass=False)
    assert not use.is_cheaper(50, 0, 1599)
    assert use.is_cheaper(50, 0, 1600)


def test_a_list_that_shows_less_than_half_of_what_is_looked_for_has_failed() -> None:
    use = ListStrategy()
    use.record_reading(wanted=4, met=2, now=0)
    assert use.is_cheaper(50, 0, 1)
    use.record_reading(wanted=5, met=2, now=0)
    assert not use.is_cheaper(50, 0, 1)


def test_short_pages_are_learned_and_one_short_page_is_not_held_against_a_list() -> None:
    use = ListStrategy()
    use.record_page(1, has_more=False)
    assert use.pages(199) == 2
    use.record_page(1, has_more=True)
    use.record_page(100, has_more=True)
    assert use.pages(199) == 2
    for _ in range(4):
        use.record_page(20, has_more=True)
    assert use.pages(199) == 10
    use.record_page(0, has_more=True)
    use.record_page(1000, has_more=True)
    assert use.pages(199) == 2


def test_reading_ends_after_twice_the_expected_pages_and_a_few() -> None:
    assert (ListStrategy().most_pages(0), ListStrategy().most_pages(250)) == (5, 9)


def test_many_waits_are_left_alone_so_long_that_looking_costs_about_a_request_a_second() -> None:
    use = ListStrategy()
    assert use.least_pause(950, 0) == 10
    use.record_failure(0, may_pass=False)
    assert use.least_pause(950, 1) == 950


def test_a_list_that_is_always_refused_for_coming_too_soon_is_left_alone_for_a_minute() -> None:
    use = ListStrategy()
    use.record_throttle(1)
    use.record_throttle(2)
    use.record_page(100, has_more=False)
    use.record_throttle(3)
    use.record_throttle(4)
    assert use.is_cheaper(9, 0, 4)
    use.record_throttle(100)
    assert not use.is_cheaper(9, 0, 159)
    assert use.is_cheaper(9, 0, 160)


def test_a_check_is_wanted_now_and_then() -> None:
    use = ListStrategy()
    assert [use.is_check_due(now) for now in (10, 11, 39, 40, 41)] == [True, False, False, True, False]


def test_a_list_is_stale_that_shows_a_job_as_running_long_after_its_end() -> None:
    use = ListStrategy()
    assert not use.is_stale("video_1", 0)
    use.record_ended("video_1", 0)
    assert [use.is_stale("video_1", now) for now in (1, 10, 11)] == [False, False, True]
    assert not use.is_stale("video_2", 11)


def test_without_a_limit_requests_go_out_at_once() -> None:
    limit = RateLimit()
    assert [limit.reserve(5), limit.reserve(5), limit.reserve(6)] == [0, 0, 0]


def test_a_limit_spreads_requests_evenly() -> None:
    limit = RateLimit(30)
    assert [limit.reserve(10), limit.reserve(10), limit.reserve(11), limit.reserve(50)] == [0, 2, 3, 0]


def test_a_limit_can_be_changed() -> None:
    limit = RateLimit(30)
    limit.reserve(0)
    limit.pace(None)
    assert [limit.reserve(1), limit.reserve(1)] == [1, 1]


def test_refusals_double_the_pause_and_those_of_one_moment_count_once() -> None:
    limit = RateLimit()
    now, pauses = 0.0, []
    for _ in range(11):
        limit.refused(now, None)
        limit.refused(now, None)
        pauses.append(limit.blocked_until - now)
        now = limit.blocked_until
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, MAX_BLOCK_SECONDS, MAX_BLOCK_SECONDS]
    limit.answered()
    limit.refused(now, None)
    assert limit.blocked_until - now == 1


def test_a_server_is_left_alone_as_long_as_it_asks_for() -> None:
    limit = RateLimit()
    limit.refused(0, 40)
    limit.refused(1, 5)
    assert limit.reserve(10) == 30
    assert limit.blocks(39)
    assert not limit.blocks(40)


def test_a_server_that_asks_for_no_pause_at_all_gets_a_second() -> None:
    limit = RateLimit()
    limit.refused(0, 0)
    assert limit.blocked_until == 1


def test_a_list_that_fails_in_passing_is_left_alone_for_seconds_which_double_up_to_ten_minutes() -> None:
    use = ListStrategy()
    pauses = []
    now = 0.0
    for _ in range(9):
        use.record_failure(now, may_pass=True)
        begun = now
        while not use.is_cheaper(50, 0, now):
            now += 1
        pauses.append(now - begun)
    assert pauses == [5, 10, 20, 40, 80, 160, 320, 600, 600]
    use.record_reading(wanted=2, met=2, now=now)
    use.record_failure(now, may_pass=True)
    assert not use.is_cheaper(50, 0, now + 4)
    assert use.is_cheaper(50, 0, now + 5)
