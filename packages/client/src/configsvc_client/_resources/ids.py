"""What calls refer to: configurations and environments, given by themselves or by name."""

from configsvc_client._http.api import segment
from configsvc_client._resources.models import Configuration, Environment

__all__ = ["configuration_id", "configuration_path", "environment_name", "environment_path"]

# As segments of a path these two would lead to what is above.
_NO_SEGMENTS = {"", ".", ".."}


def configuration_id(configuration: Configuration | str) -> str:
    """Return the id of a configuration given by itself or its id.

    Raises:
        ValueError: it can't be one.
    """
    found = configuration if isinstance(configuration, str) else configuration.id
    if found in _NO_SEGMENTS:
        raise ValueError("The id of a configuration can't be empty, '.' or '..'.")
    return found


def configuration_path(configuration: Configuration | str) -> str:
    """Return the path of a configuration given by itself or its id."""
    return f"/configurations/{segment(configuration_id(configuration))}"


def environment_name(environment: Environment | str) -> str:
    """Return the name of an environment given by itself or its name.

    Raises:
        ValueError: it can't be one.
    """
    found = environment if isinstance(environment, str) else environment.name
    if found in _NO_SEGMENTS:
        raise ValueError("The name of an environment can't be empty, '.' or '..'.")
    return found


def environment_path(application_path: str, environment: Environment | str) -> str:
    """Return the path of an environment below that of its application."""
    return f"{application_path}/environments/{segment(environment_name(environment))}"
