"""How long a server asks to be left alone."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from configsvc_client._http.retry_after import MAX_RETRY_AFTER, seconds_to_wait


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        (" 7 ", 7),
        ("99999999", MAX_RETRY_AFTER),
        ("", None),
        ("-1", None),
        ("soon", None),
        ("1.5", None),
        ("٣", None),
    ],
)
def test_seconds(value: str, seconds: float | None) -> None:
    assert seconds_to_wait({"Retry-After": value}) == seconds


def test_nothing_asked_is_none() -> None:
    assert seconds_to_wait({}) is None


def test_a_date_is_measured_on_the_clock_of_the_server() -> None:
    wrong = datetime(1999, 1, 1, tzinfo=UTC)
    headers = {
        "Date": format_datetime(wrong, usegmt=True),
        "Retry-After": format_datetime(wrong + timedelta(seconds=20), usegmt=True),
    }
    assert seconds_to_wait(headers) == 20


def test_a_date_in_the_past_means_now() -> None:
    assert seconds_to_wait({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0


def test_a_date_without_zone_is_utc() -> None:
    headers = {
        "Date": "Wed, 21 Oct 2015 07:28:00 -0000",
        "Retry-After": "Wed, 21 Oct 2015 07:28:30 GMT",
    }
    assert seconds_to_wait(headers) == 30


@given(st.text(), st.text())
def test_any_text_gives_a_bounded_wait_or_none(value: str, date: str) -> None:
    seconds = seconds_to_wait(CaseInsensitiveDict({"retry-after": value, "date": date}))
    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER
