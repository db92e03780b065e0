"""Rate limits: what counting takes, and when it begins again."""

import threading

import falcon
import pytest

from configsvc_server.domain.errors import TooManyRequestsError
from configsvc_server.http.rate_limits import RateLimits
from tests.support.waiting import until


def is_allowed(limits: RateLimits, principal: str) -> bool:
    try:
        limits.hit(falcon.Response(), principal)
    except TooManyRequestsError:
        return False
    return True


def test_counting_starts_no_thread() -> None:
    before = set(threading.enumerate())
    limits = RateLimits("1000/second")

    for number in range(100):
        assert is_allowed(limits, f"token:{number}")

    assert set(threading.enumerate()) <= before


def test_who_has_asked_too_often_may_ask_again_when_the_time_is_over() -> None:
    limits = RateLimits("1/second")
    # The time may be over between the two.
    assert until(lambda: not is_allowed(limits, "token:ci"), seconds=30)

    assert until(lambda: is_allowed(limits, "token:ci"), seconds=30)


def test_each_principal_has_requests_of_its_own() -> None:
    limits = RateLimits("1/hour")
    assert is_allowed(limits, "token:ci")

    assert not is_allowed(limits, "token:ci")
    assert is_allowed(limits, "token:web")


def test_a_response_says_how_many_requests_are_left_and_for_how_long() -> None:
    resp = falcon.Response()
    RateLimits("10/minute").hit(resp, "token:ci")

    assert resp.get_header("RateLimit-Limit") == "10"
    assert resp.get_header("RateLimit-Remaining") == "9"
    assert resp.get_header("RateLimit-Reset") == "60"


def test_an_address_may_fail_twenty_times_a_minute() -> None:
    limits = RateLimits(None)
    for _ in range(20):
        limits.failed("192.0.2.1")

    with pytest.raises(TooManyRequestsError) as refused:
        limits.failed("192.0.2.1")

    assert 0 < refused.value.retry_after <= 60
    limits.failed("192.0.2.2")
