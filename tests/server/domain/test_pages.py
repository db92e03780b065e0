"""Orders and cursors."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configsvc_server.domain.errors import InvalidError
from configsvc_server.domain.pages import SORT_FIELDS, Cursor, Sort
from tests.support.json_values import texts

sorts = st.builds(Sort, st.sampled_from(SORT_FIELDS), st.booleans())


@given(st.builds(Cursor, sorts, texts, texts))
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
def test_a_made_up_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidError, match="cursor from the 'next' member"):
        Cursor.decode(token)
