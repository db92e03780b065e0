"""Orders and cursors of lists."""

import base64
import json
from datetime import UTC
from typing import Any

import falcon.testing
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configsvc_server.domain.errors import InvalidError
from configsvc_server.domain.identifiers import new_ulid
from configsvc_server.domain.pages import KeysetPosition, PageRequest, Sort
from configsvc_server.http.pagination import (
    NAMED_LIST,
    PAGING,
    decode_cursor,
    encode_cursor,
    read_page_request,
)
from configsvc_server.http.query_params import QueryParams
from tests.support.json_values import texts

sorts = st.builds(
    lambda field, descending: NAMED_LIST.sort(field, descending=descending),
    st.sampled_from(NAMED_LIST.fields),
    st.booleans(),
)


def read(**params: Any) -> PageRequest:
    """Read the parameters of a request, as a list does."""
    query = QueryParams(falcon.testing.create_req(), PAGING)
    query._params = params
    request = read_page_request(query, NAMED_LIST)
    query.finish()
    return request


@st.composite
def positions(draw: st.DrawFn) -> tuple[Sort, KeysetPosition]:
    sort = draw(sorts)
    values = {
        "id": st.builds(new_ulid),
        "name": texts,
        "updated_at": st.datetimes(timezones=st.just(UTC)),
    }
    return sort, tuple(draw(values[column]) for column in sort.columns)


@given(positions())
def test_a_cursor_survives_its_token(cursor: tuple[Sort, KeysetPosition]) -> None:
    assert decode_cursor(encode_cursor(*cursor), NAMED_LIST) == cursor


@given(st.sampled_from(NAMED_LIST.fields), st.booleans())
def test_an_order_survives_its_text(field: str, descending: bool) -> None:
    sort = NAMED_LIST.parse(f"-{field}" if descending else field)

    assert sort == NAMED_LIST.sort(field, descending=descending)


@pytest.mark.parametrize("text", ["", "-", "size", "--name", "name "])
def test_an_unknown_order_is_refused_with_the_choices(text: str) -> None:
    with pytest.raises(InvalidError, match="one of id or -id"):
        read(sort=text)


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
        base64.urlsafe_b64encode(b'["id", "a\\u0000"]').decode(),
        base64.urlsafe_b64encode(b'["id", "x", "a\\u0000"]').decode(),
    ],
)
def test_a_token_that_is_no_text_is_refused(token: str) -> None:
    with pytest.raises(InvalidError, match="cursor from the 'next' member"):
        read(after=token)


ULID = "01JD8W5Q0Z4T9G7M2N3P4Q5R6S"


@pytest.mark.parametrize(
    "content",
    [
        "[" * 200_000,
        json.dumps(["id", "\ud800"]),
        json.dumps(["id", "x", "\ud800"]),
        json.dumps(["name", "\ud800", ULID]),
        json.dumps(["name", "a\0", ULID]),
        json.dumps(["name", "a", "not-ulid"]),
        json.dumps(["updated_at", "nonsense", ULID]),
        json.dumps(["updated_at", "infinity", ULID]),
        json.dumps(["updated_at", "now", ULID]),
        json.dumps(["updated_at", "2026-01-01T00:00:00", ULID]),
    ],
    ids=range(10),
)
def test_a_forged_token_is_refused_before_it_reaches_the_database(content: str) -> None:
    token = base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")

    with pytest.raises(InvalidError, match="cursor from the 'next' member"):
        read(after=token)
