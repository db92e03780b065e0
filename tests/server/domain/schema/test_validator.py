"""JSON Schema validation: valid and invalid schemas, messages, and that nothing is fetched."""

import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from configsvc_server.domain.schema.metaschema import DIALECT
from configsvc_server.domain.schema.validator import SchemaValidator, schema_violations
from configsvc_server.domain.schema.violations import MAX_VIOLATIONS, Violation
from configsvc_server.domain.strict_json import json_pointer
from tests.support.json_schemas import CIRCULAR, KEYWORDS, documents, schemas, wild

Json = dict[str, Any]

UNRESOLVED = "must refer to a place in this schema, such as #/$defs/name: nothing is fetched"


def one(violations: list[Violation]) -> Violation:
    [violation] = violations
    return violation


def look_up(document: Any, at: str) -> Any:
    for token in at.split("/")[1:]:
        step = token.replace("~1", "/").replace("~0", "~")
        document = document[int(step) if isinstance(document, list) else step]
    return document


@given(st.dictionaries(st.sampled_from(KEYWORDS), wild, max_size=3))
def test_a_schema_is_refused_exactly_where_its_metaschema_refuses_it(schema: Json) -> None:
    # Only what the metaschema leaves open may be refused beyond it.
    beyond = (
        "must be a regular expression",
        UNRESOLVED,
        CIRCULAR,
        "must be given only once",
    )
    refused = [v for v in schema_violations(schema) if not v.message.startswith(beyond)]

    assert Draft202012Validator(Draft202012Validator.META_SCHEMA).is_valid(schema) == (not refused)


@given(schemas, documents)
def test_a_value_has_violations_exactly_where_the_library_finds_it_invalid(
    schema: Any, value: Any
) -> None:
    assert schema_violations(schema) == []

    violations = SchemaValidator(schema).violations(value)

    assert Draft202012Validator(schema).is_valid(value) == (violations == [])


@given(schemas, documents)
def test_a_violation_points_to_what_exists(schema: Any, value: Any) -> None:
    for violation in SchemaValidator(schema).violations(value):
        look_up(schema, violation.schema_pointer)
        # A required member is missing, but the object around it exists.
        look_up(value, json_pointer(violation.path[:-1]))


@pytest.mark.parametrize(
    ("schema", "at", "message"),
    [
        ({"type": "strnig"}, "/type", "must be one of array, boolean, integer, null, number"),
        ({"type": []}, "/type", "must be one of"),
        ({"properties": []}, "/properties", "must be a JSON object of schemas, not an array"),
        ({"items": [{}]}, "/items", "must be a schema (a JSON object, true or false), not an"),
        ({"properties": {"a/b": {"minLength": -1}}}, "/properties/a~1b/minLength", "not -1"),
        ({"allOf": [True, {"required": "a"}]}, "/allOf/1/required", "must be a list of strings"),
        ({"anyOf": []}, "/anyOf", "must be a list of at least one schema"),
        ({"multipleOf": 0}, "/multipleOf", "must be a number greater than 0, not 0"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "/$schema", f"must be {DIALECT}"),
        ({"$anchor": "1st"}, "/$anchor", "must be a name of"),
        ({"pattern": "("}, "/pattern", "Python's re understands: missing )"),
        ({"pattern": r"\p{L}"}, "/pattern", r"bad escape \p"),
        ({"pattern": "a{99999999999}"}, "/pattern", "repetition number is too large"),
        ({"patternProperties": {"*": {}}}, "/patternProperties/*", "nothing to repeat"),
        ({"$defs": {"a": {"pattern": "["}}}, "/$defs/a/pattern", "unterminated"),
        ({"$defs": {"a": {"$anchor": "x"}, "b": {"$anchor": "x"}}}, "/$defs/a/$anchor", "once"),
        ("x", "", "must be a schema (a JSON object, true or false), not a string"),
    ],
)
def test_an_invalid_schema_is_refused_with_the_location(schema: Any, at: str, message: str) -> None:
    violation = one(schema_violations(schema))

    assert json_pointer(violation.path) == violation.schema_pointer == at
    assert message in violation.message


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        {"$schema": DIALECT},
        {"$schema": DIALECT + "#"},
        {"x-unit": "seconds", "title": "T"},
        {"$defs": {"n": {"type": "integer"}}, "$ref": "#/$defs/n"},
        {"$defs": {"a/b%": {}}, "$ref": "#/$defs/a~1b%25"},
        {"definitions": {"n": {}}, "properties": {"a": {"$ref": "#/definitions/n"}}},
        {"$defs": {"n": {"$anchor": "here"}}, "$ref": "#here"},
        {"$id": "https://example.com/s", "$defs": {"n": {}}, "$ref": "s#/$defs/n"},
        {"$id": "https://example.com/s", "$defs": {"n": {"$id": "n"}}, "items": {"$ref": "n"}},
        {"$id": "urn:example:s", "$defs": {"n": {}}, "$ref": "#/$defs/n"},
        {"$dynamicAnchor": "node", "items": {"$dynamicRef": "#node"}},
        {"items": {"$ref": "#"}},
        {"allOf": [{"$ref": "#/allOf/1"}, True]},
        {"properties": {"$ref": {"type": "string"}, "pattern": {}}},
    ],
)
def test_a_valid_schema_is_accepted(schema: Any) -> None:
    assert schema_violations(schema) == []


@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef"])
@pytest.mark.parametrize(
    "reference",
    [
        "#/$defs/none",
        "#none",
        "#/enum/0",
        "#/x-more/a",
        "#/items",
        "other.json",
        "https://json-schema.org/draft/2020-12/schema",
        "http://[",
        "file:///etc/passwd",
        "",
    ],
)
def test_a_reference_must_lead_to_a_schema_in_the_document(keyword: str, reference: str) -> None:
    schema: Json = {
        "$id": "https://example.com/s",
        "enum": [{}],
        "x-more": {"a": {}},
        "$defs": {"a": {keyword: reference}},
    }
    violations = schema_violations(schema)

    if reference:
        assert one(violations) == Violation(
            ("$defs", "a", keyword), f"/$defs/a/{keyword}", UNRESOLVED
        )
    else:
        assert violations == []


@pytest.mark.parametrize("keyword", ["enum", "const", "default", "examples", "x-sample"])
def test_data_that_looks_like_a_reference_is_none(keyword: str) -> None:
    data: Json = {"$ref": "http://example.com/", "pattern": "(", "type": 1}
    schema: Json = {keyword: [data]}

    assert schema_violations(schema) == []
    assert SchemaValidator(schema).violations(data if keyword == "enum" else [data]) == []


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
        {"allOf": [{"$ref": "#"}]},
        {"anyOf": [{"type": "string"}, {"not": {"$ref": "#"}}]},
        {"if": {"$ref": "#"}},
        {"$dynamicAnchor": "a", "dependentSchemas": {"x": {"$dynamicRef": "#a"}}},
        {"$defs": {"a": {"$ref": "#/$defs/b/allOf/0"}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}}},
    ],
)
def test_circular_references_are_refused(schema: Json) -> None:
    violation = one(schema_violations(schema))

    assert violation.message == CIRCULAR
    assert isinstance(look_up(schema, violation.schema_pointer), str)


def test_nothing_is_ever_fetched(tmp_path: Any) -> None:
    (tmp_path / "s.json").write_text("true")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        for address in (
            f"http://127.0.0.1:{listener.getsockname()[1]}/s.json",
            (tmp_path / "s.json").as_uri(),
        ):
            for schema in (
                {"$ref": address},
                {"$dynamicRef": address},
                {"$id": address, "$ref": "t.json"},
                {"items": {"$schema": address}},
            ):
                assert len(schema_violations(schema)) == 1
                with pytest.raises(KeyError):
                    SchemaValidator({"allOf": [{"$ref": address}]}).violations(1)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_dialect_in_a_subschema_does_not_change_the_rules() -> None:
    schema: Json = {
        "$schema": DIALECT,
        "required": ["a"],
        "items": {"$schema": DIALECT, "items": False},
    }

    assert one(SchemaValidator(schema).violations({})).message == "is required"
    assert one(SchemaValidator(schema).violations([[1]])).schema_pointer == "/items/items"


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        ({"type": "integer"}, "1", "must be an integer, not a string"),
        ({"type": "integer"}, 1.5, "must be an integer, not 1.5"),
        ({"type": "string"}, 1, "must be a string, not a number"),
        ({"type": ["string", "null"]}, True, "must be a string or null, not true"),
        ({"type": "boolean"}, None, "must be true or false, not null"),
        ({"type": "object"}, [], "must be a JSON object, not an array"),
        ({"minimum": 1}, 0, "must be at least 1, not 0"),
        ({"maximum": 1.5}, 2, "must be at most 1.5, not 2"),
        ({"exclusiveMinimum": 0}, 0, "must be greater than 0, not 0"),
        ({"exclusiveMaximum": 0}, 0, "must be less than 0, not 0"),
        ({"multipleOf": 5}, 7, "must be a multiple of 5, not 7"),
        ({"minLength": 1}, "", "must not be empty"),
        ({"minLength": 3}, "ab", "must have at least 3 characters, not 2"),
        ({"maxLength": 1}, "ab", "must have at most 1 character, not 2"),
        ({"pattern": "^a$"}, "b", "must match the regular expression '^a$'"),
        ({"enum": ["a", 1, None]}, "b", "must be one of 'a', 1, null"),
        ({"enum": ["a"]}, "b", "must be 'a'"),
        ({"enum": []}, 1, "is not allowed"),
        ({"const": True}, 1, "must be true"),
        ({"minItems": 1}, [], "must not be empty"),
        ({"maxItems": 0}, [1], "must be empty"),
        ({"maxItems": 1}, [1, 2], "must have at most 1 item, not 2"),
        ({"uniqueItems": True}, [1, 1], "must not have the same item twice"),
        ({"contains": {"const": 1}}, [2], "must have an item of the kind that is asked for"),
        (
            {"contains": {"const": 1}, "minContains": 2},
            [1],
            "must have at least 2 items of the kind that is asked for",
        ),
        (
            {"contains": {"const": 1}, "maxContains": 1},
            [1, 1],
            "must have at most 1 item of the kind that is counted",
        ),
        ({"unevaluatedItems": False}, [1], "has items that are not allowed"),
        ({"minProperties": 2}, {"a": 1}, "must have at least 2 members, not 1"),
        ({"maxProperties": 1}, {"a": 1, "b": 1}, "must have at most 1 member, not 2"),
        ({"not": {"type": "string"}}, "a", "has a value that is not allowed"),
        (False, 1, "is not allowed"),
        (
            {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            None,
            "must be a string or an integ",
        ),
        ({"oneOf": [{"const": "a"}, {"enum": ["b", "c"]}]}, 1, "must be one of 'a', 'b', 'c'"),
        ({"anyOf": [{"type": "null"}, {"const": "a"}]}, 1, "must be null, or one of 'a'"),
        ({"anyOf": [{"type": "null"}, {"minimum": 5}]}, 1, "must be at least 5, not 1"),
        (
            {"oneOf": [{"minimum": 0}, {"maximum": 9}]},
            1,
            "must meet exactly one of the alternatives, but meets several",
        ),
        (
            {"anyOf": [{"required": ["a"]}, {"minProperties": 1, "maxProperties": 0}]},
            {},
            "must meet one of 2 alternatives; by the nearest, /a is required",
        ),
    ],
)
def test_messages_say_what_was_expected(schema: Any, value: Any, message: str) -> None:
    violation = one(SchemaValidator(schema).violations(value))

    assert violation.path == ()
    assert violation.message.startswith(message)


@pytest.mark.parametrize(
    ("schema", "value", "path", "rule", "message"),
    [
        ({"required": ["a"]}, {}, ("a",), "/required", "is required"),
        (
            {"items": {"dependentRequired": {"a": ["b"]}}},
            [{"a": 1}],
            (0, "b"),
            "/items/dependentRequired",
            "is required where 'a' is given",
        ),
        (
            {"properties": {"port": {}}, "additionalProperties": False},
            {"prot": 1},
            ("prot",),
            "/additionalProperties",
            "is not allowed; did you mean 'port'?",
        ),
        (
            {"additionalProperties": {"type": "string"}},
            {"a": 1},
            ("a",),
            "/additionalProperties/type",
            "must be a string, not a number",
        ),
        ({"properties": {"a": False}}, {"a": 1}, ("a",), "/properties/a", "is not allowed"),
        ({"items": False}, [1], (0,), "/items", "is not allowed"),
        ({"prefixItems": [{}, {"const": 1}]}, [0, 2], (1,), "/prefixItems/1/const", "must be 1"),
        (
            {"unevaluatedProperties": False, "properties": {"a": {}}},
            {"a": 1, "b": 2},
            ("b",),
            "/unevaluatedProperties",
            "is not allowed",
        ),
        (
            {"propertyNames": {"pattern": "^[a-z]+$"}},
            {"A": 1},
            ("A",),
            "/propertyNames/pattern",
            "has a name that is not allowed: it must match the regular expression '^[a-z]+$'",
        ),
        (
            {"properties": {"a/b": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"type": "null"}}},
            {"a/b": 1},
            ("a/b",),
            "/$defs/n/type",
            "must be null, not a number",
        ),
        (
            {"properties": {"a": {"$ref": "#/$defs/n"}}, "$defs": {"n": False}},
            {"a": 1},
            ("a",),
            "/$defs/n",
            "is not allowed",
        ),
        (
            {"if": {"required": ["a"]}, "then": {"required": ["b"]}},
            {"a": 1},
            ("b",),
            "/then/required",
            "is required",
        ),
        (
            {"dependentSchemas": {"a": {"maxProperties": 1}}},
            {"a": 1, "b": 1},
            (),
            "/dependentSchemas/a/maxProperties",
            "must have at most 1 member, not 2",
        ),
        (
            {
                "oneOf": [
                    {"properties": {"kind": {"const": "a"}, "n": {"type": "integer"}}},
                    {"properties": {"kind": {"const": "b"}, "n": {"type": "string"}}},
                ]
            },
            {"kind": "b", "n": 1},
            ("n",),
            "/oneOf/1/properties/n/type",
            "must be a string, not a number",
        ),
        (
            {"$dynamicAnchor": "t", "properties": {"k": {"$dynamicRef": "#t"}}, "type": "object"},
            {"k": {"k": 1}},
            ("k", "k"),
            "/type",
            "must be a JSON object, not a number",
        ),
    ],
)
def test_a_violation_has_the_path_and_the_rule(
    schema: Any, value: Any, path: tuple[str | int, ...], rule: str, message: str
) -> None:
    assert SchemaValidator(schema).violations(value) == [Violation(path, rule, message)]
    assert look_up(schema, rule) is not None


def test_a_float_without_fraction_is_an_integer_by_the_specification() -> None:
    assert SchemaValidator({"type": "integer"}).violations(1.0) == []


def test_formats_are_annotations() -> None:
    assert SchemaValidator({"format": "ipv4"}).violations("nowhere") == []


def test_patterns_that_cannot_be_joined_may_be_used_together() -> None:
    schema: Json = {"patternProperties": {"^a": {}, "(?i)^B": {}}, "additionalProperties": False}

    assert SchemaValidator(schema).violations({"a": 1, "b": 1}) == []
    assert one(SchemaValidator(schema).violations({"c": 1})).path == ("c",)


def test_violations_are_few_and_ordered_by_path() -> None:
    schema: Json = {"properties": {"z": {"type": "string"}, "a": {"items": {"type": "string"}}}}
    value: Json = {"z": 1, "a": list(range(50))}

    violations = SchemaValidator(schema).violations(value)

    assert [v.path for v in violations] == [("a", index) for index in range(MAX_VIOLATIONS)]
    assert len(schema_violations({"required": 1, "allOf": [{"type": 1}] * 50})) == MAX_VIOLATIONS


def test_a_repeated_violation_is_reported_once() -> None:
    rule: Json = {"required": ["a"]}

    assert one(SchemaValidator({"allOf": [rule, dict(rule)]}).violations({})).schema_pointer == (
        "/allOf/0/required"
    )


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"enum": ["x" * 10_000] * 3}, 1),
        ({"enum": list(range(10_000))}, "a"),
        ({"const": {"x": "y" * 10_000}}, 1),
        ({"pattern": "x" * 10_000}, "a"),
        ({"type": "array"}, "x" * 10_000),
        ({"anyOf": [{"enum": list(range(100))}, {"const": "x" * 10_000}]}, "a"),
        ({"minimum": 10}, -(2**63)),
    ],
)
def test_huge_values_are_not_quoted(schema: Any, value: Any) -> None:
    assert len(one(SchemaValidator(schema).violations(value)).message) < 300


def test_only_the_first_wrong_names_are_compared_with_the_known_ones() -> None:
    schema: Json = {"properties": {"port": {}}, "additionalProperties": False}
    names = [f"port{number}" for number in range(15)]

    violations = SchemaValidator(schema).violations(dict.fromkeys(names, 1))

    assert len(violations) == 15
    assert sum("did you mean 'port'" in violation.message for violation in violations) == 5


def test_long_names_are_not_compared() -> None:
    schema: Json = {"properties": {"a" * 200: {}}, "additionalProperties": False}

    violation = one(SchemaValidator(schema).violations({"a" * 199: 1}))

    assert violation.message == "is not allowed"
