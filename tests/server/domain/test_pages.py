"""Orders and cursors."""

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configsvc_server.domain.errors import InvalidError
from configsvc_server.domain.identifiers import new_ulid
from configsvc_server.domain.pages import SORT_FIELDS, Cursor, Sort
from tests.support.json_values import texts

sorts = st.builds(Sort, st.sampled_from(SORT_FIELDS), st.booleans())


@st.composite
def cursors(draw: st.DrawFn) -> Cursor:
    sort = draw(sorts)
    moments = st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat)
    return Cursor(sort, draw(moments if sort.field == "updated_at" else texts), new_ulid())


@given(cursors())
def test_a_cursor_survives_its_token(cursor: Cursor) -> None:
    assert Cursor.decode(cursor.encode()) == cursor


@given(sorts)
def test_an_order_survives_its_text(sort: Sort) -> None:
    assert Sort.parse(str(sort)) == sort


@pytest.mark.parametrize("text", ["", "-", "size", "--name", "name "])
def test_an_unknown_order_is_refused_with_the_choices(text: str) -> None:
    with pytest.raises(InvalidError, match="one of id or -id"):
        Sort.parse(text)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "ä",
        "!!!!",
        base64.urlsafe_b64encode(b"not json").decode(),
        base64.urlsafe_b64encode(b'["id", 1, "x"]').decode(),
        base64.urlsafe_b64encode(b'["size", "x", "x"]').decode(),
        base64.urlsafe_b64encode(b'["id", "x"]').decode(),
        base64.urlsafe_b64encode(b"{}").decode(),
        base64.urlsafe_b64encode(b'["id", "x", "a\\u0000"]').decode(),
    ],
)
def test_a_token_that_is_no_text_is_refused(token: str) -> None:
    with pytest.raises(InvalidError, match="cursor from the 'next' member"):
        Cursor.decode(token)


ULID = "01JD8W5Q0Z4T9G7M2N3P4Q5R6S"


@pytest.mark.parametrize(
    "content",
    [
        "[" * 200_000,
        json.dumps(["id", "x", "\ud800"]),
        json.dumps(["name", "\ud800", ULID]),
        json.dumps(["name", "a\0", ULID]),
        json.dumps(["name", "a", "not-ulid"]),
        json.dumps(["updated_at", "nonsense", ULID]),
        json.dumps(["updated_at", "infinity", ULID]),
        json.dumps(["updated_at", "now", ULID]),
        json.dumps(["updated_at", "2026-01-01T00:00:00", ULID]),
    ],
    ids=range(9),
)
def test_a_forged_token_is_refused_before_it_reaches_the_database(content: str) -> None:
    token = base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")

    with pytest.raises(InvalidError, match="cursor from the 'next' member"):
        Cursor.decode(token)
