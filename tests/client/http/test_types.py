"""The seconds of ``Retry-After``."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from configsvc_client._http.types import MAX_RETRY_AFTER, retry_after


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
        ("Wed, 21 Oct 2015 07:28:00 GMT", None),
    ],
)
def test_seconds(value: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": value}) == seconds


def test_nothing_asked_is_none() -> None:
    assert retry_after({}) is None


@given(st.text())
def test_any_text_gives_a_bounded_wait_or_none(value: str) -> None:
    seconds = retry_after(CaseInsensitiveDict({"retry-after": value}))
    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER
