"""Values that a schema marks as secret."""

from typing import Any

import pytest
from hypothesis import given

from configsvc_server.domain.schema.secrets import schema_secrets
from configsvc_server.domain.schema.validator import schema_violations
from tests.support.json_schemas import schemas

Json = dict[str, Any]

SECRET = {"writeOnly": True}


@pytest.mark.parametrize(
    ("schema", "secrets"),
    [
        ({"properties": {"a": SECRET, "b": {"x-secret": True}, "c": {}}}, ["/a", "/b"]),
        ({"properties": {"a": {"writeOnly": False}, "b": {"x-secret": False}}}, []),
        ({"properties": {"a/b": {"properties": {"~": SECRET}}}}, ["/a~1b/~0"]),
        ({"additionalProperties": SECRET}, ["/*"]),
        ({"patternProperties": {"^p": SECRET}}, ["/*"]),
        ({"properties": {"list": {"items": {"properties": {"p": SECRET}}}}}, ["/list/*/p"]),
        ({"properties": {"list": {"prefixItems": [{}, SECRET]}}}, ["/list/1"]),
        ({"properties": {"list": {"contains": SECRET}}}, ["/list/*"]),
        ({"allOf": [{"properties": {"a": SECRET}}]}, ["/a"]),
        ({"anyOf": [{"properties": {"a": SECRET}}, {}]}, ["/a"]),
        ({"if": {}, "then": {"properties": {"a": SECRET}}}, ["/a"]),
        ({"dependentSchemas": {"x": {"properties": {"a": SECRET}}}}, ["/a"]),
        ({"properties": {"a": {"$ref": "#/$defs/s"}}, "$defs": {"s": SECRET}}, ["/a"]),
        (
            {"properties": {"a": {"$ref": "#/$defs/s", "x-secret": True}}, "$defs": {"s": {}}},
            ["/a"],
        ),
        ({"not": {"properties": {"a": SECRET}}}, []),
        ({"propertyNames": SECRET}, []),
        ({"properties": {"a": {"default": SECRET, "enum": [SECRET]}}}, []),
        ({"properties": {"a": {**SECRET, "properties": {"b": SECRET}}}}, ["/a"]),
        (SECRET, [""]),
        (True, []),
    ],
)
def test_are_found_wherever_the_schema_may_apply(schema: Json, secrets: list[str]) -> None:
    assert schema_secrets(schema) == secrets


def test_in_a_tree_are_found_on_every_level_that_a_document_can_have() -> None:
    tree: Json = {"properties": {"key": SECRET, "next": {"$ref": "#"}}}

    secrets = schema_secrets(tree)

    assert secrets[:3] == ["/key", "/next/key", "/next/next/key"]
    assert len(secrets) == 64


def test_where_there_are_too_many_everything_is() -> None:
    branches: Json = {f"b{index}": {"$ref": "#"} for index in range(4)}

    assert schema_secrets({"properties": {"key": SECRET, **branches}}) == [""]


@given(schemas)
def test_are_found_in_any_schema_in_bounded_time(schema: Any) -> None:
    if not schema_violations(schema):
        assert all(pointer.startswith("/") or not pointer for pointer in schema_secrets(schema))


def test_a_mark_must_be_true_or_false() -> None:
    violations = schema_violations({"properties": {"a": {"x-secret": "yes"}}})

    assert [violation.path for violation in violations] == [("properties", "a", "x-secret")]
