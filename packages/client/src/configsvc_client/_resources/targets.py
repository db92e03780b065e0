"""Targets of calls: a configuration or its id, or an application and a name."""

from typing import TypeAlias

from configsvc_client._resources.models import Application, Configuration

__all__ = ["Named", "Target", "split", "with_numbers"]

Named: TypeAlias = Application | Configuration | str
"""What says which configuration a call is about: itself, or its application and its name."""

Target: TypeAlias = Named | int | None
"""Positional argument of a call: something named, or a version after that."""


def split(
    target: tuple[Target, ...], application: Named | None, configuration: Named | None
) -> tuple[list[Named], list[int | None]]:
    """Return what says which configuration a call is about, and the versions after it.

    Args:
        target: the positional arguments.
        application: the application, if it was given by keyword.
        configuration: the configuration, if it was given by keyword.

    Raises:
        TypeError: they don't say which configuration, or say more than that.
    """
    named = [given for given in target if isinstance(given, Named)]
    numbers = [given for given in target if not isinstance(given, Named)]
    if (*named, *numbers) != target:
        raise TypeError("A version comes after the configuration.")
    if application is not None:
        named.insert(0, application)
    if configuration is not None:
        named.append(configuration)
    is_pair = len(named) == 2 and isinstance(named[1], str)  # noqa: PLR2004 - a pair
    if not is_pair and len(named) != 1:
        raise TypeError("Give a configuration or its id, or an application and a name.")
    if isinstance(named[0], Configuration if is_pair else Application):
        raise TypeError("Give a configuration or its id, or an application and a name.")
    return named, numbers


def with_numbers(given: list[int | None], *keywords: int | None) -> list[int | None]:
    """Return versions given by position, and those after them by keyword.

    Args:
        given: the versions that were given by position.
        keywords: the value of each parameter, by keyword or by default.

    Raises:
        TypeError: there are more than parameters.
    """
    if len(given) > len(keywords):
        raise TypeError("There are too many arguments.")
    return [*given, *keywords[len(given) :]]
