"""ULIDs: their form and their spelling."""

import pytest

from configsvc_server.domain.identifiers import is_ulid, new_ulid, normalize_ulid


def test_new_ones_are_valid_and_unique() -> None:
    first, second = new_ulid(), new_ulid()

    assert is_ulid(first)
    assert first != second


@pytest.mark.parametrize(
    "text",
    [
        "",
        "billing",
        "01JD8W5Q0Z4T9G7M2N3P4Q5R6",
        "01JD8W5Q0Z4T9G7M2N3P4Q5R6SS",
        "81JD8W5Q0Z4T9G7M2N3P4Q5R6S",  # beyond 128 bits
        "01JD8W5Q0Z4T9G7M2N3P4Q5R6U",  # no letter of the alphabet
        "01JD8W5Q0Z4T9G7M2N3P4Q5R6S\n",
        "٠1JD8W5Q0Z4T9G7M2N3P4Q5R6S",  # a digit, but not an ASCII one
    ],
)
def test_other_texts_are_not_ulids(text: str) -> None:
    assert not is_ulid(text)


def test_case_does_not_matter() -> None:
    assert is_ulid("01jd8w5q0z4t9g7m2n3p4q5r6s")
    assert normalize_ulid("01jd8w5q0z4t9g7m2n3p4q5r6s") == "01JD8W5Q0Z4T9G7M2N3P4Q5R6S"
