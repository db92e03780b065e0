"""JSON values for property tests, and what it means for two of them to be the same."""

import math
from typing import Any

from hypothesis import strategies as st

from configsvc_server.domain.strict_json import MAX_INTEGER, MIN_INTEGER

# Anything PostgreSQL can store: no surrogates, no NUL.
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)

scalars = (
    st.none()
    | st.booleans()
    | st.integers(MIN_INTEGER, MAX_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False).map(lambda x: x or 0.0)
    | texts
)


def json_objects() -> st.SearchStrategy[dict[str, Any]]:
    """Return objects that a configuration may be."""
    values = st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
        max_leaves=20,
    )
    return st.dictionaries(texts, values, max_size=5)


def same(left: Any, right: Any) -> bool:
    """Return whether two values are equal in type too, where Python thinks ``1 == 1.0 == True``."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float):
        return left == right and math.copysign(1, left) == math.copysign(1, right)
    return bool(left == right)
