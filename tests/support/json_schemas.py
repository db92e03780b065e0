"""JSON Schemas for property tests, valid ones and arbitrary ones, and values to validate."""

from typing import Any

from hypothesis import strategies as st
from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]

from configsvc_server.domain.schema.validator import schema_violations

CIRCULAR = "must not lead back to itself before it has gone into a member or an item"
"""The message about a schema with circular references."""

# Valid schemas, from a few keywords and names, so that they apply to members of the values.
names = st.sampled_from(["a", "b", "$ref", "x/y"])
counts = st.integers(0, 3)
types = st.sampled_from(["array", "boolean", "integer", "null", "number", "object", "string"])
small = st.none() | st.booleans() | st.integers(-1, 4) | st.sampled_from(["", "a", "ab", 0.0, 1.5])
documents = st.recursive(
    small,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


def _larger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = st.lists(inner, min_size=1, max_size=3)
    maps = st.dictionaries(names, inner, max_size=3)
    return st.fixed_dictionaries(
        {},
        optional={
            "additionalProperties": inner,
            "allOf": lists,
            "anyOf": lists,
            "const": documents,
            "contains": inner,
            "dependentRequired": st.dictionaries(names, st.lists(names, unique=True), max_size=2),
            "dependentSchemas": maps,
            "else": inner,
            "enum": st.lists(documents, max_size=3),
            "exclusiveMaximum": counts,
            "if": inner,
            "items": inner,
            "maxItems": counts,
            "maxProperties": counts,
            "minContains": counts,
            "minLength": counts,
            "minimum": counts,
            "multipleOf": st.sampled_from([1, 2, 0.5]),
            "not": inner,
            "oneOf": lists,
            "pattern": st.just("^a"),
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "b"]), inner, max_size=2),
            "prefixItems": lists,
            "properties": maps,
            "propertyNames": inner,
            "required": st.lists(names, unique=True),
            "then": inner,
            "type": types | st.lists(types, min_size=1, unique=True),
            "unevaluatedItems": inner,
            "unevaluatedProperties": inner,
            "uniqueItems": st.booleans(),
        },
    )


references = st.sampled_from(["#", "#/$defs/a", "#/$defs/b"]).map(lambda to: {"$ref": to})


def _with_definitions(parts: tuple[Any, Any, Any]) -> Any:
    root, first, second = parts
    return {**root, "$defs": {"a": first, "b": second}} if isinstance(root, dict) else root


inner_schemas = st.recursive(st.booleans() | references, _larger, max_leaves=6)
schemas = (
    st.tuples(inner_schemas, inner_schemas, inner_schemas)
    .map(_with_definitions)
    .filter(lambda schema: not any(v.message == CIRCULAR for v in schema_violations(schema)))
)

VOCABULARIES = ("core", "applicator", "unevaluated", "validation", "meta-data", "content")
KEYWORDS = [
    keyword
    for name in VOCABULARIES
    for keyword in REGISTRY.contents(f"https://json-schema.org/draft/2020-12/meta/{name}")[
        "properties"
    ]
    if keyword != "$schema"
] + ["definitions", "dependencies", "format"]

wild = st.recursive(
    small | types | st.just([]) | st.just(["a", "a"]) | st.just(["a", "b"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYWORDS) | names, inner, max_size=3)
    ),
    max_leaves=8,
)
