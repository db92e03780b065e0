"""Flags of a command: one for each setting that it uses."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from configsvc_server.settings import ENV_PREFIX, Settings, load_settings

__all__ = ["PRECEDENCE", "setting_options", "settings_from_flags"]

F = TypeVar("F", bound=Callable[..., Any])

PRECEDENCE = (
    "Every setting can be given as a flag, as an environment variable (in brackets), or in a "
    "file .env in the current folder; the first of these counts."
)
"""Epilog of the help of a command with :func:`setting_options`."""


def setting_options(*names: str) -> Callable[[F], F]:
    """Return a decorator that adds a flag for each setting, with its description as the help.

    Args:
        names: names of fields of :class:`Settings`.
    """

    def decorate(function: F) -> F:
        for name in reversed(names):
            field = Settings.model_fields[name]
            default = field.get_default(call_default_factory=True, validated_data={})
            shown = "" if default in (None, ()) else f" (default: {default})"
            flag = "--" + name.replace("_", "-")
            is_switch = field.annotation is bool
            function = click.option(
                f"{flag}/--no-{name.replace('_', '-')}" if is_switch else flag,
                name,
                default=None,
                type=bool if is_switch else str,
                metavar=None if is_switch else _metavar(name, field.annotation),
                help=f"{field.description}{shown}  [{ENV_PREFIX}{name.upper()}]",
            )(function)
        return function

    return decorate


def _metavar(name: str, annotation: object) -> str:
    if name == "fleet_retention":
        return "DAYS"
    return {int: "NUMBER", float: "SECONDS", float | None: "SECONDS"}.get(annotation, "TEXT")  # type: ignore[call-overload, no-any-return]


def settings_from_flags(flags: Mapping[str, object]) -> Settings:
    """Return the settings, with the flags that were given over their other sources.

    Args:
        flags: the parameters that :func:`setting_options` adds; ``None`` if not given.

    Raises:
        SettingsError: a value is invalid.
    """
    return load_settings({name: value for name, value in flags.items() if value is not None})
