"""Dotted paths and JSON Pointers."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configsvc_client._values.frozen import freeze
from configsvc_client._values.paths import find, json_pointer

CONFIGURATIONS: dict[str, Any] = freeze(
    {
        "database": {"pool": {"size": 10}, "hosts": ["a", ["b"]], "a.b": 1, "": 2, "x/y~z": 3},
        "feature.flags": {"beta": True},
        "feature": {"flags": {"beta": False}, "other": 1},
        "/odd": {"a": 1},
    }
)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("database.pool.size", 10),
        ("/database/pool/size", 10),
        ("database.hosts.0", "a"),
        ("/database/hosts/1/0", "b"),
        ("/database/a.b", 1),
        ("/database/", 2),
        ("/database/x~1y~0z", 3),
        ("feature.flags.beta", True),
        ("feature.other", 1),
        ("/feature/flags/beta", False),
        ("/odd", {"a": 1}),
        ("feature.flags", {"beta": True}),
    ],
)
def test_a_path_finds_its_value(path: str, value: object) -> None:
    assert find(CONFIGURATIONS, path) == value


@pytest.mark.parametrize(
    "path",
    [
        "",
        "nothing",
        "database.nothing",
        "database.pool.size.more",
        "database.hosts.2",
        "database.hosts.-1",
        "database.hosts.00",
        "database.hosts.x",
        "database.hosts.²",
        "database.a.b",
        "/",
        "//",
        "/nothing",
    ],
)
def test_a_path_to_nothing_is_a_key_error(path: str) -> None:
    with pytest.raises(KeyError):
        find(CONFIGURATIONS, path)


@given(st.lists(st.text(), min_size=1))
def test_every_key_can_be_reached_by_its_pointer(keys: list[str]) -> None:
    value: Any = 1
    for key in reversed(keys):
        value = {key: value}
    assert find(value, json_pointer(keys)) == 1
