"""Reads of configurations: as they are, were and could be, and what is different."""

from collections.abc import Mapping, Sequence
from typing import Any, cast, overload

from configsvc_client._http.api import Api, Pages
from configsvc_client._resources.ids import (
    application_id,
    application_path,
    configuration_id,
    configuration_path,
    environment_name,
)
from configsvc_client._resources.models import (
    Application,
    Configuration,
    ConfigurationDiff,
    Environment,
    Revision,
    Validation,
)
from configsvc_client._resources.readers import (
    read_configuration,
    read_diff,
    read_revision,
    read_validation,
)
from configsvc_client._resources.targets import Target, split, with_numbers
from configsvc_client.errors import NotFoundError

__all__ = ["ConfigurationReads", "document_of"]


class ConfigurationReads:
    """Reading half of the wrapper of the configuration endpoints.

    Example:
        >>> client.configurations.get(database).version
        3
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    def get(self, configuration: Configuration | str) -> Configuration:
        """Return a configuration by its id, or a given one as it is now.

        Raises:
            NotFoundError: there is no such configuration.

        Example:
            >>> client.configurations.get(database.id).name
            'database'
        """
        response = self._api.call("GET", configuration_path(configuration))
        return self._api.read(response, read_configuration)

    def find(self, application: Application | str, name: str) -> Configuration:
        """Return the configuration with a name in an application.

        Raises:
            NotFoundError: there is no such application, or none of that name in it.

        Example:
            >>> client.configurations.find("billing", "database").version
            3
        """
        for configuration in self.list(application, name=name, page_size=1):
            return configuration
        raise NotFoundError(f"There is no configuration {name!r} in {application!r}.")

    def list(
        self,
        application: Application | str | None = None,
        *,
        name: str | None = None,
        q: str | None = None,
        sort: str | None = None,
        page_size: int = 200,
    ) -> Pages[Configuration]:
        """Iterate over configurations, oldest first; pages are fetched as they are needed.

        Args:
            application: only those of this one; without it, those of all.
            name: only those with exactly this name.
            q: only those with this text in their name or comments.
            sort: a member to sort by, with ``-`` before it for the opposite order.
            page_size: how many to ask for at a time, 1 to 1000.

        Example:
            >>> [configuration.name for configuration in client.configurations.list("billing")]
            ['database', 'limits']
        """
        above = "" if application is None else application_path(self._api, application)
        return self._api.pages(
            f"{above}/configurations",
            read_configuration,
            what="configurations",
            params={"name": name, "q": q, "sort": sort},
            page_size=page_size,
        )

    @overload
    def history(
        self,
        configuration: Configuration | str,
        *,
        newest_first: bool = False,
        page_size: int = 200,
    ) -> Pages[Revision]: ...
    @overload
    def history(
        self,
        application: Application | str,
        configuration: str,
        *,
        newest_first: bool = False,
        page_size: int = 200,
    ) -> Pages[Revision]: ...
    def history(
        self,
        *target: Target,
        application: Application | str | None = None,
        configuration: Configuration | str | None = None,
        newest_first: bool = False,
        page_size: int = 200,
    ) -> Pages[Revision]:
        """Iterate over the versions of a configuration, oldest first, also of a deleted one.

        A deleted one is found by its id alone.

        Args:
            *target: the configuration or its id, or an application and the name of one in it.
            application: the application, by keyword.
            configuration: the configuration, by keyword.
            newest_first: whether to begin with the newest.
            page_size: how many to ask for at a time, 1 to 1000.

        Example:
            >>> [revision.message for revision in client.configurations.history(database)]
            [None, 'more load', 'still more load']
        """
        chosen, _ = self._chosen(target, application, configuration)
        return self._api.pages(
            f"{configuration_path(chosen)}/revisions",
            read_revision,
            what="revisions",
            params={"sort": "-version" if newest_first else None},
            page_size=page_size,
        )

    @overload
    def revision(self, configuration: Configuration | str, version: int) -> Revision: ...
    @overload
    def revision(
        self, application: Application | str, configuration: str, version: int
    ) -> Revision: ...
    def revision(
        self,
        *target: Target,
        application: Application | str | None = None,
        configuration: Configuration | str | None = None,
        version: int | None = None,
    ) -> Revision:
        """Return a configuration as it was at a version, also a deleted one.

        Args:
            *target: the configuration or its id, or an application and the name of one in it.
            application: the application, by keyword.
            configuration: the configuration, by keyword.
            version: the version.

        Raises:
            NotFoundError: there is no such configuration or version.

        Example:
            >>> client.configurations.revision(database, 1).config["pool_size"]
            5
        """
        chosen, (number,) = self._chosen(target, application, configuration, version)
        path = f"{configuration_path(chosen)}/revisions/{number}"
        return self._api.read(self._api.call("GET", path), read_revision)

    @overload
    def diff(
        self,
        configuration: Configuration | str,
        from_: int | None = None,
        to: int | None = None,
        *,
        from_environment: Environment | str | None = None,
        to_environment: Environment | str | None = None,
        environment: Environment | str | None = None,
        document: Mapping[str, Any] | None = None,
    ) -> ConfigurationDiff: ...
    @overload
    def diff(
        self,
        application: Application | str,
        configuration: str,
        from_: int | None = None,
        to: int | None = None,
        *,
        from_environment: Environment | str | None = None,
        to_environment: Environment | str | None = None,
        environment: Environment | str | None = None,
        document: Mapping[str, Any] | None = None,
    ) -> ConfigurationDiff: ...
    def diff(
        self,
        *target: Target,
        application: Application | str | None = None,
        configuration: Configuration | str | None = None,
        from_: int | None = None,
        to: int | None = None,
        from_environment: Environment | str | None = None,
        to_environment: Environment | str | None = None,
        environment: Environment | str | None = None,
        document: Mapping[str, Any] | None = None,
    ) -> ConfigurationDiff:
        """Compare two versions, two environments, or a version and a document.

        Args:
            *target: the configuration or its id, or an application and the name of one in it.
            application: the application, by keyword.
            configuration: the configuration, by keyword.
            from_: a version; without it, the one before ``to``, or, with ``to_environment``
                or ``document``, the newest.
            to: a version; without it, the newest.
            from_environment: compare from the version that this environment serves, instead
                of ``from_``.
            to_environment: compare to the version that this environment serves, instead of
                ``to``.
            environment: compare both as this environment would get them. With
                ``from_environment`` the same and ``to_environment`` another, this shows what
                a promotion from there would change.
            document: compare to this: an object with ``name``, ``config``, and maybe
                ``comments``, ``overlays`` and ``schema``, which is not written.

        Raises:
            NotFoundError: there has never been such a configuration.
            ValidationError: there is no such version or environment.
            ValueError: ``document`` is given, and another thing to compare to.

        Example:
            >>> client.configurations.diff(database)  # what the last write changed
            version 2 → version 3
            ~ /config/pool_size: 8 → 10
            >>> client.configurations.diff(database, from_environment="prod").patch[0]["op"]
            'replace'
        """
        chosen, (start, end) = self._chosen(target, application, configuration, from_, to)
        path = f"{configuration_path(chosen)}/diff"
        names = {
            "from_environment": _name(from_environment),
            "to_environment": _name(to_environment),
            "environment": _name(environment),
        }
        if document is None:
            versions = {"from": _digits(start), "to": _digits(end)}
            response = self._api.call("GET", path, params={**versions, **names})
        else:
            if end is not None or names["to_environment"] or names["from_environment"]:
                raise ValueError("A document is compared with a version: give no more than from_.")
            given = {"from": start, "environment": names["environment"], "document": document}
            body = {member: value for member, value in given.items() if value is not None}
            response = self._api.call("POST", path, body=body)
        return self._api.read(response, read_diff)

    def validate(
        self,
        application: Application | str,
        *,
        name: str,
        config: Mapping[str, Any],
        comments: str | None = None,
        overlays: Mapping[str, Mapping[str, Any]] | None = None,
        schema: Mapping[str, Any] | None = None,
        configuration: Configuration | str | None = None,
    ) -> Validation:
        """Check whether a configuration could be written, without doing it.

        With ``configuration``, overlays and schema that are left out stay as they are.

        Args:
            application: the application, its id or its name.
            name: as for :meth:`create`.
            config: the values, a JSON object.
            comments: a description for people.
            overlays: JSON Merge Patches over ``config``, by environment.
            schema: the JSON Schema of the values.
            configuration: the one to replace, or its id; without it, a new one is checked.

        Returns:
            The values that each environment would get.

        Raises:
            ConflictError: the name is taken.
            NotFoundError: there is no application of this name.
            ValidationError: the server would refuse a value, or there is no such configuration.

        Example:
            >>> client.configurations.validate("billing", name="mail", config={"n": 1})
            <Validation: valid in 'default', 'prod', 'staging'>
        """
        body = {
            "application_id": application_id(self._api, application),
            **document_of(name, config, comments, overlays, schema),
        }
        if configuration is not None:
            body["id"] = configuration_id(configuration)
        response = self._api.call("POST", "/configurations/validate", body=body)
        return self._api.read(response, read_validation)

    def _chosen(
        self,
        target: tuple[Target, ...],
        application: Application | str | None,
        configuration: Configuration | str | None,
        *numbers: int | None,
    ) -> tuple[Configuration | str, Sequence[int | None]]:
        """Return the configuration that a call is about, or its id, and the versions after it.

        Args:
            target: the positional arguments.
            application: the application, if it was given by keyword.
            configuration: the configuration, if it was given by keyword.
            numbers: the versions by keyword or by default.

        Raises:
            NotFoundError: there is no configuration of that name.
            TypeError: it is not clear which configuration.
        """
        (*above, chosen), given = split(target, application, configuration)
        versions = with_numbers(given, *numbers)
        for parent in above:
            # By id from here on, as nobody has read the version that is found.
            chosen = self.find(cast("Application | str", parent), cast("str", chosen)).id
        return cast("Configuration | str", chosen), versions


def document_of(
    name: str,
    config: Mapping[str, Any],
    comments: str | None,
    overlays: Mapping[str, Mapping[str, Any]] | None,
    schema: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the body for a whole configuration; members left out take their defaults."""
    document: dict[str, Any] = {"name": name, "comments": comments, "config": config}
    if overlays is not None:
        document["overlays"] = overlays
    if schema is not None:
        document["schema"] = schema
    return document


def _name(environment: Environment | str | None) -> str | None:
    return None if environment is None else environment_name(environment)


def _digits(version: int | None) -> str | None:
    return None if version is None else f"{version:d}"
