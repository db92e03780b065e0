"""Read-only JSON values."""

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from configsvc_client._values.frozen import (
    FrozenDict,
    FrozenList,
    freeze,
    is_same,
    loads_frozen,
    thaw,
)
from configsvc_client._values.secrets import mark_secrets
from configsvc_client.testing import FakeConfigClient

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


@pytest.mark.parametrize("copied", [lambda value: value.copy(), copy.copy])
@given(value=JSON)
def test_short_copies_are_deep_too(copied: Callable[[Any], Any], value: Any) -> None:
    for frozen in (freeze({"a": value}), freeze([value])):
        made = copied(frozen)
        assert made == frozen
        assert is_plain(made)


def test_a_union_of_dicts_is_plain() -> None:
    assert type(freeze({"a": 1}) | {"b": 1}) is dict


@given(JSON)
def test_what_is_thawed_is_plain(value: Any) -> None:
    assert thaw(freeze(value)) == value
    assert is_plain(thaw(freeze(value)))


def test_what_is_thawed_may_be_changed_and_changes_nothing_else() -> None:
    frozen = freeze({"default": {"HOST": "db1", "OPTIONS": [1]}})
    databases = thaw(frozen)
    # As Django does with DATABASES.
    databases["default"].setdefault("TIME_ZONE", None)
    databases["default"]["OPTIONS"].append(2)
    assert frozen == {"default": {"HOST": "db1", "OPTIONS": [1]}}


def test_what_is_thawed_can_be_written_as_yaml() -> None:
    value = {"a": [1, {"b": None}], "c": "d"}
    with pytest.raises(yaml.representer.RepresenterError):
        yaml.safe_dump(freeze(value))
    marked = mark_secrets(freeze(value), ["/c"])
    assert yaml.safe_load(yaml.safe_dump(thaw(marked))) == value


def test_snapshots_and_views_can_be_thawed() -> None:
    app = FakeConfigClient({"billing": {"database": {"hosts": ["a"]}}}).application("billing")
    for mapping in (app, app.snapshot()):
        assert thaw(mapping) == {"database": {"hosts": ["a"]}}
        assert is_plain(thaw(mapping))
