"""Schemas with a bounded cost of validation."""

from typing import Any

import pytest
from hypothesis import given

from configsvc_server.domain.schema.cost import is_cheap
from configsvc_server.domain.schema.metaschema import DIALECT
from tests.support.json_schemas import wild
from tests.support.json_values import json_objects

Json = dict[str, Any]


class TestIsCheap:
    def test_plain_keywords_are_cheap(self) -> None:
        schema: Json = {
            "$schema": DIALECT,
            "type": "object",
            "required": ["a"],
            "properties": {"a": {"type": "integer", "default": 1, "x-unit": "s"}},
            "additionalProperties": False,
            "oneOf": [{"minProperties": 1}, {"not": {"const": 1}}],
        }

        assert is_cheap(schema, [{"a": 1}, {"a": 2}])

    @pytest.mark.parametrize(
        "rule",
        [
            {"$ref": "#/$defs/a", "$defs": {"a": {}}},
            {"$dynamicRef": "#a", "$dynamicAnchor": "a"},
            {"$id": "https://example.com"},
            {"pattern": "a"},
            {"patternProperties": {"a": {}}},
            {"uniqueItems": True},
            {"unevaluatedProperties": False},
            {"unevaluatedItems": False},
            {"unknown": 1},
        ],
    )
    @pytest.mark.parametrize("around", ["properties", "allOf", "not", "$defs"])
    def test_other_keywords_are_not_cheap(self, rule: Json, around: str) -> None:
        schemas: dict[str, Json] = {
            "properties": {"properties": {"x": rule}},
            "allOf": {"allOf": [rule]},
            "not": {"not": rule},
            "$defs": {"$defs": {"x": rule}},
        }

        assert not is_cheap(schemas[around], [])

    @pytest.mark.parametrize(
        ("schema", "value"),
        [
            ({"items": {"allOf": [{}] * 1000}}, [1] * 1000),
            ({"enum": list(range(50_000))}, 1),
            ({"type": "string"}, [1] * 200_000),
            ({"allOf": [{"maxLength": 1}] * 500}, "x" * 1_000_000),
        ],
    )
    def test_large_products_are_not_cheap(self, schema: Any, value: Any) -> None:
        assert not is_cheap(schema, [value])

    def test_what_a_service_has_is_cheap_in_many_environments(self) -> None:
        leaf: Json = {"type": "integer", "minimum": 0, "default": 1, "description": "A number."}
        part: Json = {
            "type": "object",
            "required": ["k0"],
            "properties": {f"k{i}": leaf for i in range(10)},
            "additionalProperties": False,
        }
        schema: Json = {**part, "properties": {f"k{i}": part for i in range(10)}}
        value: Json = {f"k{i}": {f"k{j}": 1 for j in range(10)} for i in range(10)}

        assert is_cheap(schema, [value] * 5)

    @pytest.mark.parametrize(
        ("schema", "value"),
        [
            pytest.param({"items": {"anyOf": [{"type": "null"}] * 50}}, [1] * 100, id="anyOf"),
            pytest.param({"items": {"oneOf": [{"maximum": 0}] * 50}}, [1] * 100, id="oneOf"),
            pytest.param({"items": {"allOf": [{"not": {}}] * 50}}, [1] * 100, id="not"),
            pytest.param({"allOf": [{"contains": False}] * 50}, [1] * 200, id="contains"),
            pytest.param(
                {"anyOf": [{"propertyNames": {"maxLength": 1}}] * 20},
                {f"name{i}": 1 for i in range(100)},
                id="propertyNames",
            ),
            pytest.param(
                {"items": {"allOf": [{"if": True, "then": False}] * 50}}, [1] * 100, id="if"
            ),
            pytest.param(
                {"items": {"dependentSchemas": {f"k{i}": False for i in range(50)}}},
                [{f"k{i}": 1 for i in range(50)}] * 180,
                id="dependentSchemas",
            ),
            pytest.param(
                {"allOf": [{"additionalProperties": False}] * 50},
                {f"k{i}": 1 for i in range(200)},
                id="additionalProperties",
            ),
            pytest.param(
                {"items": {"prefixItems": [False] * 50}}, [[1] * 50] * 200, id="prefixItems"
            ),
            pytest.param(
                {"items": {"required": [f"k{i}" for i in range(500)]}}, [{}] * 100, id="required"
            ),
            pytest.param(
                {"items": {"enum": [[i] for i in range(500)]}}, [[1]] * 100, id="comparisons"
            ),
            pytest.param({"anyOf": [{"type": "null"}] * 100}, [1] * 1000, id="quoted values"),
            pytest.param({"anyOf": [{"type": "null"}] * 100}, "x" * 200_000, id="quoted strings"),
            pytest.param(
                {"items": {"oneOf": [{"type": "integer", "enum": list(range(500))}] * 2}},
                [1] * 50,
                id="quoted schemas",
            ),
        ],
    )
    def test_what_takes_many_steps_is_not_cheap(self, schema: Json, value: Any) -> None:
        assert is_cheap(schema, [])
        assert not is_cheap(schema, [value])

    def test_errors_from_deep_inside_are_less_cheap(self) -> None:
        def within(levels: int) -> Json:
            schema: Json = {"items": {"type": "null"}}
            for _ in range(levels):
                schema = {"allOf": [schema]}
            return schema

        assert is_cheap(within(0), [[1] * 2000])
        assert not is_cheap(within(25), [[1] * 2000])

    def test_members_without_a_rule_cost_nothing(self) -> None:
        schema: Json = {"properties": {"a": {"properties": {"b": {"type": "integer"}}}}}

        assert is_cheap(schema, [{"a": {"b": 1}, "other": [1] * 10_000}])

    def test_deep_nesting_is_not_cheap(self) -> None:
        schema: Json = {}
        for _ in range(500):
            schema = {"not": schema}

        assert not is_cheap(schema, [])

    @given(wild, json_objects())
    def test_invalid_schemas_are_accepted(self, schema: Any, value: Json) -> None:
        is_cheap(schema, [value])
