"""Defaults that a schema declares."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configsvc_server.domain.schema.defaults import schema_defaults
from configsvc_server.domain.schema.validator import schema_violations
from configsvc_server.domain.strict_json import json_pointer
from tests.support.json_schemas import schemas
from tests.support.json_values import scalars, texts

Json = dict[str, Any]


class TestDefaults:
    def test_are_listed_with_those_of_inner_members_after_the_outer(self) -> None:
        schema: Json = {
            "default": {"not": "a member"},
            "properties": {
                "db": {"properties": {"a/b": {"default": 5}}, "default": {}},
                "port": {"default": 80},
                "name": {"type": "string"},
            },
        }

        defaults = schema_defaults(schema)

        assert list(defaults.items()) == [("/db", {}), ("/port", 80), ("/db/a~1b", 5)]

    def test_are_found_through_references_and_all_of(self) -> None:
        schema: Json = {
            "allOf": [{"properties": {"a": {"default": 1}}}, {"$ref": "#/$defs/more"}],
            "$defs": {
                "more": {"properties": {"b": {"$ref": "#/$defs/b"}, "a": {"default": 2}}},
                "b": {"default": None},
            },
        }

        assert schema_defaults(schema) == {"/a": 1, "/b": None}

    def test_next_to_a_reference_go_before_those_behind_it(self) -> None:
        schema: Json = {
            "properties": {"a": {"$ref": "#/$defs/n", "default": 1}},
            "$defs": {"n": {"default": 2}},
        }

        assert schema_defaults(schema) == {"/a": 1}

    def test_of_alternatives_and_data_are_none(self) -> None:
        schema: Json = {
            "anyOf": [{"properties": {"a": {"default": 1}}}],
            "const": {"properties": {"a": {"default": 1}}},
        }

        assert schema_defaults(schema) == {}

    def test_of_a_schema_within_itself_end(self) -> None:
        schema: Json = {"properties": {"n": {"default": 1}, "more": {"$ref": "#"}}}

        defaults = schema_defaults(schema)

        assert defaults["/n"] == defaults["/more/n"] == 1
        assert len(defaults) <= 64

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "schema",
        [
            pytest.param(
                {
                    "$defs": {
                        **{
                            f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2}
                            for i in range(60)
                        },
                        "d60": {"properties": {"x": {"default": 1}}},
                    },
                    "$ref": "#/$defs/d0",
                },
                id="doubling references",
            ),
            pytest.param(
                {"properties": {n: {"$ref": "#", "default": n} for n in "abcdefgh"}},
                id="doubling members",
            ),
            pytest.param(
                {"properties": {f"p{i}": {"default": i} for i in range(50_000)}}, id="many members"
            ),
        ],
    )
    def test_of_a_bomb_are_bounded(self, schema: Json) -> None:
        assert schema_violations(schema) == []
        assert 1 <= len(schema_defaults(schema)) <= 1000

    @given(schemas)
    def test_are_found_in_any_valid_schema(self, schema: Any) -> None:
        schema_defaults(schema)

    @given(st.dictionaries(texts, scalars, min_size=1))
    def test_are_kept_exactly(self, values: Json) -> None:
        schema: Json = {"properties": {name: {"default": value} for name, value in values.items()}}

        assert schema_defaults(schema) == {json_pointer([n]): value for n, value in values.items()}
