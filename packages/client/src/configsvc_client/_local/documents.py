"""Documents: JSON, YAML or TOML files as JSON values, with clear errors."""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from configsvc_client._values.paths import json_pointer
from configsvc_client.errors import ConfigFileError

__all__ = ["SUFFIXES", "file_error", "object_of", "read_document"]

_TOML_POSITION: Final = re.compile(r"\(at line (\d+), column (\d+)\)")


def read_document(path: Path) -> dict[str, Any]:
    """Return the object in a file, as JSON would have it.

    Args:
        path: the file; its suffix, one of :data:`SUFFIXES`, is its format.

    Raises:
        ConfigFileError: there is none that can be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise file_error(path, f"can't be read ({error.strerror or error})") from None
    if not content.strip():
        # Whoever writes it begins like this, and an empty TOML would have no members.
        raise file_error(path, "is empty")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise file_error(path, "is not in UTF-8", line=line) from None
    try:
        return object_of(SUFFIXES[path.suffix.lower()](path, text), path)
    except ValueError as error:
        # Such as a number with too many digits.
        raise file_error(path, f"has an impossible value ({error})") from None
    except RecursionError:
        raise file_error(path, "is nested too deeply, or in itself") from None


def object_of(value: object, path: Path | None, name: str = "values") -> dict[str, Any]:
    """Return a copy of an object in which everything is JSON.

    Args:
        value: the object.
        path: the file that it is from; ``None`` where it is from none.
        name: a noun for an object that is from no file.

    Raises:
        ConfigFileError: it is no object, or has what JSON can't have.
    """
    subject = path or name
    if not isinstance(value, Mapping):
        raise file_error(subject, f"must have an object at its top, not {_kind(value)}")
    result: dict[str, Any] = _checked(value, (), subject)
    return result


def file_error(
    subject: Path | str,
    what: str,
    *,
    line: int | None = None,
    column: int | None = None,
    pointer: str | None = None,
) -> ConfigFileError:
    """Return an error that names the file and the place in it.

    Args:
        subject: the file, or a noun where there is none.
        what: the rest of a sentence that begins with the file.
        line: the line, from 1.
        column: the column, from 1.
        pointer: the JSON Pointer to the value.
    """
    place = "" if line is None else f", line {line}"
    place += "" if column is None else f", column {column}"
    place += f", {pointer}" if pointer else ""
    error = ConfigFileError(f"{subject}{place}: it {what}.")
    error.file = str(subject) if isinstance(subject, Path) else None
    error.line, error.column, error.pointer = line, column, pointer
    return error


def _json(path: Path, text: str) -> object:
    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in result if names.count(name) > 1)
            raise file_error(path, f"has the member {twice!r} twice in one object")
        return result

    try:
        return json.loads(text, object_pairs_hook=members)
    except json.JSONDecodeError as error:
        what = f"is no JSON ({error.msg})"
        raise file_error(path, what, line=error.lineno, column=error.colno) from None


def _toml(path: Path, text: str) -> object:
    import tomllib  # noqa: PLC0415 - not needed by most

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _TOML_POSITION.search(str(error))
        line, column = (
            map(int, found.groups()) if found else (text.count("\n") + 1, None)  # its end
        )
        reason = str(error).split(" (at ")[0]
        raise file_error(path, f"is no TOML ({reason})", line=line, column=column) from None


def _yaml(path: Path, text: str) -> object:
    try:
        from configsvc_client._local import yaml_documents  # noqa: PLC0415 - needs an extra
    except ImportError:
        what = "needs PyYAML: pip install 'configsvc-client[yaml]'"
        raise file_error(path, what) from None
    return yaml_documents.parse(
        text,
        lambda what, line, column: file_error(path, what, line=line, column=column),
    )


SUFFIXES: Final[Mapping[str, Callable[[Path, str], object]]] = MappingProxyType(
    {".json": _json, ".yaml": _yaml, ".yml": _yaml, ".toml": _toml}
)
"""Parsers by the suffix of the file."""


def _checked(value: object, steps: Sequence[str | int], subject: Path | str) -> Any:
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                what = f"has the key {key!r}, which is {_kind(key)}: write it in quotes"
                raise file_error(subject, what, pointer=json_pointer(steps))
        return {key: _checked(member, (*steps, key), subject) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_checked(item, (*steps, index), subject) for index, item in enumerate(value)]
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date | time):
        return value.isoformat()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    what = f"has {_kind(value)}, which JSON can't have"
    raise file_error(subject, what, pointer=json_pointer(steps))


def _kind(value: object) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return f"the number {value!r}"
    names: dict[type, str] = {
        type(None): "null",
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "an array",
        tuple: "an array",
        set: "a set",
        frozenset: "a set",
        bytes: "binary data",
        date: "a date",
        datetime: "a date",
    }
    return names.get(type(value), f"a {type(value).__name__}")
