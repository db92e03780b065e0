"""Read-only JSON values."""

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configsvc_client._values.frozen import FrozenDict, FrozenList, freeze, is_same, loads_frozen

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return type(value) is dict and all(map(is_plain, value.values()))
    if isinstance(value, list):
        return type(value) is list and all(map(is_plain, value))
    return True


def is_frozen(value: Any) -> bool:
    if isinstance(value, dict):
        return type(value) is FrozenDict and all(map(is_frozen, value.values()))
    if isinstance(value, list):
        return type(value) is FrozenList and all(map(is_frozen, value))
    return True


@given(JSON)
def test_reading_gives_what_json_gives_but_frozen(value: Any) -> None:
    text = json.dumps(value).encode()
    frozen = loads_frozen(text)
    assert frozen == json.loads(text)
    assert is_frozen(frozen)
    assert is_frozen(freeze(value))


@given(JSON)
def test_copies_and_pickles_are_plain(value: Any) -> None:
    frozen = freeze(value)
    for thawed in (copy.deepcopy(frozen), pickle.loads(pickle.dumps(frozen))):
        assert thawed == value
        assert is_plain(thawed)


@given(JSON)
def test_what_is_frozen_can_be_written_again(value: Any) -> None:
    assert json.loads(json.dumps(freeze(value))) == value


@given(JSON, JSON)
def test_sameness_is_that_of_the_texts(one: Any, other: Any) -> None:
    texts = [json.dumps(value, sort_keys=True) for value in (one, other)]
    assert is_same(freeze(one), freeze(one))
    if 0.0 not in (one, other):
        assert is_same(one, other) == (texts[0] == texts[1])


@pytest.mark.parametrize(("one", "other"), [(1, 1.0), (1, True), ([0], [False]), ({"a": 1}, {})])
def test_what_python_calls_equal_may_differ(one: Any, other: Any) -> None:
    assert not is_same(one, other)


def test_the_order_of_members_makes_no_difference() -> None:
    assert is_same({"a": 1, "b": 2}, {"b": 2, "a": 1})


@pytest.mark.parametrize(
    "change",
    [
        "d['a'] = 1",
        "del d['a']",
        "d.clear()",
        "d.pop('a')",
        "d.popitem()",
        "d.setdefault('b', 1)",
        "d.update(a=1)",
        "d |= {'b': 1}",
        "d['a'].append(1)",
        "d['a'][0] = 1",
        "del d['a'][0]",
        "d['a'] += [1]",
        "d['a'] *= 2",
        "d['a'].clear()",
        "d['a'].extend([1])",
        "d['a'].insert(0, 1)",
        "d['a'].pop()",
        "d['a'].remove(1)",
        "d['a'].reverse()",
        "d['a'].sort()",
    ],
)
def test_nothing_can_be_changed(change: str) -> None:
    frozen = freeze({"a": [1, 2]})
    with pytest.raises(TypeError, match="read-only"):
        exec(change, {"d": frozen})
    assert frozen == {"a": [1, 2]}


def test_shallow_copies_are_plain_too() -> None:
    frozen = freeze({"a": [1]})
    for copied in (frozen.copy(), copy.copy(frozen)):
        assert type(copied) is dict
    assert type(frozen["a"].copy()) is list
    assert type(frozen | {"b": 1}) is dict
