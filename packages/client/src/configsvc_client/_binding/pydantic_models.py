"""Pydantic models and dataclasses, recognised without importing pydantic."""

import sys
from typing import Any

from configsvc_client._binding.members import literals
from configsvc_client._binding.problems import Converter, Steps, guarded

__all__ = ["model_tags", "pydantic_converter"]


def pydantic_converter(kind: Any, *, strict: bool) -> Converter | None:
    """Return the converter to a pydantic model or dataclass, ``None`` for another class.

    Args:
        kind: the class.
        strict: whether members that it does not know are a problem, whatever it says itself.

    Raises:
        TypeError: it is to be strict, and this pydantic can't be told so from outside.
    """
    if hasattr(kind, "model_validate"):
        validate = kind.model_validate
    elif hasattr(kind, "__pydantic_validator__"):
        validate = kind.__pydantic_validator__.validate_python
    else:
        return None
    if not strict:
        return lambda value, steps: guarded(lambda: validate(value), value, steps)
    version = str(getattr(sys.modules.get("pydantic"), "VERSION", "0")).split(".")
    if tuple(int(part) for part in version[:2]) < _HAS_EXTRA:
        raise TypeError(
            f"strict needs pydantic 2.12 for {kind!r}; give the model"
            " ConfigDict(extra='forbid') instead."
        )

    def convert(value: Any, steps: Steps) -> Any:
        return guarded(lambda: validate(value, extra="forbid"), value, steps)

    return convert


def model_tags(kind: Any) -> dict[str, tuple[tuple[Any, ...], bool]] | None:
    """Return the members of a model with listed values, and whether they are required.

    ``None`` for a class that is no model.
    """
    if not hasattr(kind, "model_validate"):
        return None
    return {
        alias if isinstance(alias := field.validation_alias, str) else name: (
            choices,
            field.is_required(),
        )
        for name, field in kind.model_fields.items()
        if (choices := literals(field.annotation))
    }


_HAS_EXTRA = (2, 12)
