"""Differences of two values, as patches and as lists of members."""

from typing import Any

import jsonpatch
import pytest
from hypothesis import given

from configsvc_server.domain.diff import Difference, differences, json_patch
from tests.support.json_values import json_objects, same


@given(json_objects(), json_objects())
def test_a_patch_makes_the_new_value_of_the_old_one(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    assert same(jsonpatch.apply_patch(before, json_patch(before, after)), after)


@given(json_objects(), json_objects())
def test_a_patch_of_arrays_makes_the_new_array_of_the_old_one(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    before, after = [*first.values(), *second.values()], [*second.values(), *first.values()]

    assert same(jsonpatch.apply_patch(before, json_patch(before, after)), after)


@given(json_objects())
def test_a_value_does_not_differ_from_itself(value: dict[str, Any]) -> None:
    assert json_patch(value, value) == []
    assert differences(value, value) == []


@pytest.mark.parametrize(
    ("before", "after", "patch"),
    [
        pytest.param({}, {"a": 1}, [{"op": "add", "path": "/a", "value": 1}], id="member added"),
        pytest.param({"a": 1}, {}, [{"op": "remove", "path": "/a"}], id="member removed"),
        pytest.param(
            {"b": {"c": 1, "d": 2}, "a": 0},
            {"b": {"c": 2, "d": 2}, "a": None},
            [
                {"op": "replace", "path": "/a", "value": None},
                {"op": "replace", "path": "/b/c", "value": 2},
            ],
            id="members changed, in order",
        ),
        pytest.param(
            {"a/b": {"c~d": 1}},
            {"a/b": {"c~d": 2}},
            [{"op": "replace", "path": "/a~1b/c~0d", "value": 2}],
            id="names escaped",
        ),
        pytest.param([1, 2, 3, 4], [1, 3, 4], [{"op": "remove", "path": "/1"}], id="item removed"),
        pytest.param(
            [1, 2, 3, 4],
            [1, 4],
            [{"op": "remove", "path": "/2"}, {"op": "remove", "path": "/1"}],
            id="items removed from the last",
        ),
        pytest.param(
            [1, 4],
            [1, 2, 3, 4],
            [
                {"op": "add", "path": "/1", "value": 2},
                {"op": "add", "path": "/2", "value": 3},
            ],
            id="items added from the first",
        ),
        pytest.param(
            [0, {"a": 1, "b": 1}, 2],
            [0, {"a": 2, "b": 1}, 2],
            [{"op": "replace", "path": "/1/a", "value": 2}],
            id="inside of an item",
        ),
        pytest.param([], {}, [{"op": "replace", "path": "", "value": {}}], id="everything"),
        pytest.param([1, 1], [1], [{"op": "remove", "path": "/1"}], id="repeated item"),
    ],
)
def test_patches_are_small(before: Any, after: Any, patch: list[dict[str, Any]]) -> None:
    assert json_patch(before, after) == patch


@pytest.mark.parametrize(
    ("left", "right"), [(1, 1.0), (1, True), (0, False), (1.0, True), ("1", 1), ([], {}), (None, 0)]
)
def test_values_of_different_types_differ(left: Any, right: Any) -> None:
    assert json_patch({"a": left}, {"a": right}) == [
        {"op": "replace", "path": "/a", "value": right}
    ]
    assert json_patch([{"a": left}], [{"a": right}])
    assert [d.kind for d in differences({"a": left}, {"a": right})] == ["changed"]


def test_differences_say_what_was_added_removed_and_changed() -> None:
    before: dict[str, Any] = {"gone": 1, "kept": 1, "inner": {"a": 1, "list": [1, 2]}}
    after: dict[str, Any] = {"kept": 1, "new": {"x": 1}, "inner": {"a": 2, "list": [1]}}

    assert differences(before, after) == [
        Difference("/gone", "removed", 1, None),
        Difference("/inner/a", "changed", 1, 2),
        Difference("/inner/list", "changed", [1, 2], [1]),
        Difference("/new", "added", None, {"x": 1}),
    ]


def test_a_value_of_another_kind_is_one_difference() -> None:
    assert differences({"a": {"b": 1}}, {"a": [1]}) == [Difference("/a", "changed", {"b": 1}, [1])]
