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

    def test_deep_nesting_is_not_cheap(self) -> None:
        schema: Json = {}
        for _ in range(500):
            schema = {"not": schema}

        assert not is_cheap(schema, [])

    @given(wild, json_objects())
    def test_invalid_schemas_are_accepted(self, schema: Any, value: Json) -> None:
        is_cheap(schema, [value])
