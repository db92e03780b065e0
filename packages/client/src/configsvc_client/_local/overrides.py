"""Overrides: values that win over those of the server, from a file and from variables."""

import json
import math
import os
from collections.abc import Iterator, Mapping
from logging import getLogger
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

from configsvc_client._local.documents import SUFFIXES, file_error, read_document
from configsvc_client._values.merging import leaves
from configsvc_client._values.paths import json_pointer, steps_of

__all__ = ["Override", "file_overrides", "log_overrides", "variable_overrides", "warn_of_variables"]

_log = getLogger("configsvc_client")

_VARIABLE: Final = "CONFIGSVC_SET"
_PREFIX: Final = f"{_VARIABLE}__"


class Override(NamedTuple):
    """JSON Merge Patch over the configurations of applications."""

    kind: str
    """``override file`` or ``variable``."""
    origin: str
    """Path of the file, or name of the variable."""
    patch: Mapping[str, Any]
    """Configurations by application and name; ``None`` removes."""


def file_overrides(path: Path) -> Iterator[Override]:
    """Yield the overrides in a file; none where it does not exist.

    Args:
        path: a file with an object of applications, which are objects of configurations.

    Raises:
        ConfigFileError: it can't be read, or has something else.
    """
    if not path.exists():
        return
    if path.suffix.lower() not in SUFFIXES:
        raise file_error(path, f"must end with {', '.join(SUFFIXES)}")
    patch = read_document(path)
    _check(patch, path)
    yield Override("override file", str(path), patch)


def variable_overrides(variables: Mapping[str, str]) -> Iterator[Override]:
    """Yield the overrides in environment variables, those that win last.

    Args:
        variables: the variables; only those of the prefix are looked at.

    Raises:
        ConfigFileError: one has no path of application, configuration and member.
    """
    for line in variables.get(_VARIABLE, "").splitlines():
        if line.strip():
            pointer, mark, text = line.strip().partition("=")
            if not mark or not pointer.startswith("/"):
                what = "must have lines like /application/configuration/member=value"
                raise file_error(_VARIABLE, what)
            yield _variable(_VARIABLE, steps_of(pointer), text)
    for name in sorted(variables):
        if name.startswith(_PREFIX):
            yield _variable(name, name.removeprefix(_PREFIX).split("__"), variables[name])


def log_overrides(overrides: list[Override]) -> None:
    """Log what is overridden, by whom, and no value."""
    for override in overrides:
        pointers = ", ".join(map(json_pointer, leaves(override.patch)))
        _log.info("Overridden by the %s %s: %s", override.kind, override.origin, pointers)


def warn_of_variables() -> None:
    """Log that there are variables which override nothing, since that is not asked for."""
    names = [name for name in os.environ if name == _VARIABLE or name.startswith(_PREFIX)]
    if names:
        _log.info("Ignored without ConfigClient(env_overrides=True): %s", ", ".join(sorted(names)))


def _variable(name: str, steps: list[str], text: str) -> Override:
    if len(steps) < 2 or not all(steps):  # noqa: PLR2004 - application and configuration
        what = "must name an application and a configuration, like"
        raise file_error(name, f"{what} {_PREFIX}application__configuration__member")
    patch = _value(text)
    for step in reversed(steps):
        patch = {step: patch}
    _check(patch, name)
    return Override("variable", name, patch)


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        return text


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _check(patch: Mapping[str, Any], subject: Path | str) -> None:
    for application, members in patch.items():
        if not isinstance(members, dict):
            what = "must be an object of configurations"
            raise file_error(subject, what, pointer=json_pointer([application]))
        for name, document in members.items():
            if document is not None and not isinstance(document, dict):
                what = "must be an object, as it is a configuration, or null"
                raise file_error(subject, what, pointer=json_pointer([application, name]))
