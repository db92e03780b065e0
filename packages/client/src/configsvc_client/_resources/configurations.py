"""``client.configurations``."""

from collections.abc import Mapping
from typing import Any

from configsvc_client._http.api import KEEP, Keep, Pages
from configsvc_client._resources.history import ConfigurationHistory, document_of
from configsvc_client._resources.ids import configuration_path
from configsvc_client._resources.models import Application, Configuration, read_configuration
from configsvc_client.errors import NotFoundError

__all__ = ["Configurations"]


class Configurations(ConfigurationHistory):
    """Creates, reads, changes and deletes configurations, and goes through their versions.

    Example:
        >>> client.configurations.create("billing", name="database", config={"pool_size": 10})
        <Configuration 'database' 01K9YV… version 1, 2026-11-24 08:00 UTC by anonymous>
    """

    def __repr__(self) -> str:
        return (
            "<configurations: create, get, find, list, update, replace, delete; history,"
            " revision, diff, rollback, restore, validate>"
        )

    def create(
        self,
        application: Application | str,
        *,
        name: str,
        config: Mapping[str, Any],
        comments: str | None = None,
        overlays: Mapping[str, Mapping[str, Any]] | None = None,
        schema: Mapping[str, Any] | None = None,
        id: str | None = None,  # noqa: A002 - the name of the member
        message: str | None = None,
    ) -> Configuration:
        """Add a configuration to an application.

        Args:
            application: the application, its id or its name.
            name: 1 to 256 characters, unique in the application.
            config: the values, a JSON object.
            comments: for people.
            overlays: what is different in an environment, by its name: JSON Merge Patches
                (RFC 7396) over ``config``.
            schema: a JSON Schema (draft 2020-12) that the values must meet in every
                environment, now and later.
            id: a ULID of your own.
            message: why, for the history.

        Raises:
            ConflictError: the name or id is taken.
            NotFoundError: there is no such application.
            ValidationError: the server refuses a value.

        Example:
            >>> client.configurations.create("billing", name="limits", config={}).version
            1
        """
        path = f"{self._api.application_path(application)}/configurations"
        body = document_of(name, config, comments, overlays, schema)
        if id is not None:
            body["id"] = id
        return self._send("POST", path, body, None, message)

    def get(self, configuration: Configuration | str) -> Configuration:
        """Return a configuration by its id, or a given one as it is now.

        Raises:
            NotFoundError: there is none.

        Example:
            >>> client.configurations.get("01K9YV5C7W3V0Y1Q3W6M8N2B4D").name
            'database'
        """
        answer = self._api.call("GET", configuration_path(configuration))
        return self._api.read(answer, read_configuration)

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
        above = "" if application is None else self._api.application_path(application)
        return self._api.pages(
            f"{above}/configurations",
            read_configuration,
            what="configurations",
            params={"name": name, "q": q, "sort": sort},
            page_size=page_size,
        )

    def update(
        self,
        configuration: Configuration | str,
        *,
        config: Mapping[str, Any] | Keep = KEEP,
        name: str | Keep = KEEP,
        comments: str | Keep | None = KEEP,
        overlays: Mapping[str, Mapping[str, Any] | None] | Keep = KEEP,
        schema: Mapping[str, Any] | Keep | None = KEEP,
        version: int | None = None,
        message: str | None = None,
    ) -> Configuration:
        """Change parts of a configuration.

        Given a :class:`Configuration`, this fails if there is a newer version than the one
        read. Given an id without ``version``, it is merged into whatever is there.

        Args:
            configuration: the configuration or its id.
            config: members to set; members of objects in it are merged too (RFC 7396), and
                ``None`` removes one.
            name: a new name.
            comments: new comments; ``None`` removes them.
            overlays: overlays to set, merged like ``config``; ``None`` removes one.
            schema: members of the schema to set, merged too; ``None`` removes the schema.
            version: the version that the change is based on, where only the id is at hand.
            message: why, for the history.

        Raises:
            ConflictError: it is at another version, or the new name is taken.
            NotFoundError: there is none.
            ValidationError: the server refuses a value.

        Example:
            >>> database = client.configurations.find("billing", "database")
            >>> client.configurations.update(database, config={"pool_size": 20}, message="load")
            <Configuration 'database' 01K9YV… version 4, 2026-11-24 08:05 UTC by anonymous>
        """
        given = {
            "name": name,
            "comments": comments,
            "config": config,
            "overlays": overlays,
            "schema": schema,
        }
        body = {member: value for member, value in given.items() if value is not KEEP}
        path = configuration_path(configuration)
        return self._send("PATCH", path, body, _version(configuration, version), message)

    def replace(
        self,
        configuration: Configuration | str,
        *,
        name: str,
        config: Mapping[str, Any],
        comments: str | None = None,
        overlays: Mapping[str, Mapping[str, Any]] | None = None,
        schema: Mapping[str, Any] | None = None,
        version: int | None = None,
        message: str | None = None,
    ) -> Configuration:
        """Set every member of a configuration; what is left out takes its default.

        Raises:
            ConflictError: it is at another version than the one read, or the name is taken.
            NotFoundError: there is none.
            ValidationError: the server refuses a value.

        Example:
            >>> client.configurations.replace(database, name="database", config={"pool_size": 5})
            <Configuration 'database' 01K9YV… version 5, 2026-11-24 08:06 UTC by anonymous>
        """
        body = document_of(name, config, comments, overlays, schema)
        path = configuration_path(configuration)
        return self._send("PUT", path, body, _version(configuration, version), message)

    def delete(
        self,
        configuration: Configuration | str,
        *,
        version: int | None = None,
        message: str | None = None,
    ) -> None:
        """Delete a configuration; its history stays, and :meth:`restore` brings it back.

        Raises:
            ConflictError: it is at another version than the one read, or a protected
                environment serves it.
            NotFoundError: there is none.

        Example:
            >>> client.configurations.delete(database, message="one database less")
        """
        path = configuration_path(configuration)
        self._call("DELETE", path, None, _version(configuration, version), message)


def _version(configuration: Configuration | str, version: int | None) -> int | None:
    if version is None and isinstance(configuration, Configuration):
        return configuration.version
    return version
