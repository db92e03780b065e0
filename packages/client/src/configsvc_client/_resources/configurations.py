"""``client.configurations``: configurations and their versions."""

from collections.abc import Mapping
from typing import Any, overload

from configsvc_client._http.api import KEEP, Keep
from configsvc_client._http.types import Response
from configsvc_client._resources.configuration_reads import ConfigurationReads, document_of
from configsvc_client._resources.ids import application_path, configuration_path
from configsvc_client._resources.models import Application, Configuration
from configsvc_client._resources.readers import read_configuration
from configsvc_client._resources.targets import Target, split
from configsvc_client.errors import ConflictError

__all__ = ["Configurations"]


class Configurations(ConfigurationReads):
    """Wrapper of the configuration endpoints: reads, writes, history and validation.

    Where a method takes a configuration, it takes the object, its id, or an application and
    the name of the configuration in it, which is looked up first.

    Example:
        >>> client.configurations.create("shop", name="database", config={"pool_size": 10})
        <Configuration 'database' ... version 1, ... UTC by ...>
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
        """Create a configuration of an application.

        Args:
            application: the application, its id or its name.
            name: 1 to 256 characters, unique in the application.
            config: the values, a JSON object.
            comments: a description for people.
            overlays: JSON Merge Patches (RFC 7396) over ``config`` by name of an environment,
                for the values that are different there.
            schema: a JSON Schema (draft 2020-12) that the values must meet in every
                environment, now and later.
            id: a ULID of your own.
            message: the reason, for the history.

        Raises:
            ConflictError: the name or id is taken.
            NotFoundError: there is no such application.
            ValidationError: the server refuses a value.

        Example:
            >>> client.configurations.create("shop", name="limits", config={}).version
            1
        """
        path = f"{application_path(self._api, application)}/configurations"
        body = document_of(name, config, comments, overlays, schema)
        if id is not None:
            body["id"] = id
        response = self._api.call("POST", path, body=body, message=message)
        return self._api.read(response, read_configuration)

    @overload
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
    ) -> Configuration: ...
    @overload
    def update(
        self,
        application: Application | str,
        configuration: str,
        *,
        config: Mapping[str, Any] | Keep = KEEP,
        name: str | Keep = KEEP,
        comments: str | Keep | None = KEEP,
        overlays: Mapping[str, Mapping[str, Any] | None] | Keep = KEEP,
        schema: Mapping[str, Any] | Keep | None = KEEP,
        version: int | None = None,
        message: str | None = None,
    ) -> Configuration: ...
    def update(
        self,
        *target: Target,
        application: Application | str | None = None,
        configuration: Configuration | str | None = None,
        config: Mapping[str, Any] | Keep = KEEP,
        name: str | Keep = KEEP,
        comments: str | Keep | None = KEEP,
        overlays: Mapping[str, Mapping[str, Any] | None] | Keep = KEEP,
        schema: Mapping[str, Any] | Keep | None = KEEP,
        version: int | None = None,
        message: str | None = None,
    ) -> Configuration:
        """Update parts of a configuration.

        Given a :class:`Configuration`, this fails if there is a newer version than the one
        read. Given an id, or an application and a name, it is merged into whatever is there,
        unless ``version`` says what it is based on.

        Args:
            *target: the configuration or its id, or an application and the name of one in it.
            application: the application, by keyword.
            configuration: the configuration, by keyword.
            config: members to set; members of objects in it are merged too (RFC 7396), and
                ``None`` removes one.
            name: a new name.
            comments: new comments; ``None`` removes them.
            overlays: overlays to set, merged like ``config``; ``None`` removes one.
            schema: members of the schema to set, merged too; ``None`` removes the schema.
            version: the version that the change is based on, where no object is at hand.
            message: the reason, for the history.

        Raises:
            ConflictError: it is at another version, or the new name is taken.
            NotFoundError: there is no such configuration.
            ValidationError: the server refuses a value.

        Example:
            >>> database = client.configurations.find("billing", "database")
            >>> client.configurations.update(database, config={"pool_size": 20}, message="load")
            <Configuration 'database' ... version 4, ... UTC by ...>
            >>> client.configurations.update("billing", "database", config={"pool_size": 25})
            <Configuration 'database' ... version 5, ... UTC by ...>
        """
        given = {
            "name": name,
            "comments": comments,
            "config": config,
            "overlays": overlays,
            "schema": schema,
        }
        body = {member: value for member, value in given.items() if value is not KEEP}
        chosen, _ = self._chosen(target, application, configuration)
        return self._send("PATCH", chosen, "", body, _version(chosen, version), message)

    @overload
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
    ) -> Configuration: ...
    @overload
    def replace(
        self,
        application: Application | str,
        configuration: str,
        *,
        name: str | Keep = KEEP,
        config: Mapping[str, Any],
        comments: str | None = None,
        overlays: Mapping[str, Mapping[str, Any]] | None = None,
        schema: Mapping[str, Any] | None = None,
        version: int | None = None,
        message: str | None = None,
    ) -> Configuration: ...
    def replace(
        self,
        *target: Target,
        application: Application | str | None = None,
        configuration: Configuration | str | None = None,
        name: str | Keep = KEEP,
        config: Mapping[str, Any],
        comments: str | None = None,
        overlays: Mapping[str, Mapping[str, Any]] | None = None,
        schema: Mapping[str, Any] | None = None,
        version: int | None = None,
        message: str | None = None,
    ) -> Configuration:
        """Replace every member of a configuration; those left out take their defaults.

        As with :meth:`update`, only an object or ``version`` keeps others' changes from being
        overwritten.

        Args:
            *target: the configuration or its id, or an application and the name of one in it.
            application: the application, by keyword.
            configuration: the configuration, by keyword.
            name: the name; where the configuration is given by its name, that one by default.
            config: the values, a JSON object.
            comments: a description for people.
            overlays: JSON Merge Patches over ``config`` by name of an environment.
            schema: the JSON Schema of the values.
            version: the version that the change is based on, where no object is at hand.
            message: the reason, for the history.

        Raises:
            ConflictError: it is at another version than the one read, or the name is taken.
            NotFoundError: there is no such configuration.
            ValidationError: the server refuses a value.

        Example:
            >>> client.configurations.replace(database, name="database", config={"pool_size": 5})
            <Configuration 'database' ... version 4, ... UTC by ...>
        """
        if isinstance(name, Keep):
            *above, known = split(target, application, configuration)[0]
            if not above:
                raise TypeError("What is its name? Give name, too.")
            name = str(known)
        body = document_of(name, config, comments, overlays, schema)
        chosen, _ = self._chosen(target, application, configuration)
        return self._send("PUT", chosen, "", body, _version(chosen, version), message)

    @overload
    def delete(
        self,
        configuration: Configuration | str,
        *,
        version: int | None = None,
        message: str | None = None,
    ) -> None: ...
    @overload
    def delete(
        self,
        application: Application | str,
        configuration: str,
        *,
        version: int | None = None,
        message: str | None = None,
    ) -> None: ...
    def delete(
        self,
        *target: Target,
        application: Application | str | None = None,
        configuration: Configuration | str | None = None,
        version: int | None = None,
        message: str | None = None,
    ) -> None:
        """Delete a configuration; its history stays, and :meth:`restore` brings it back.

        Args:
            *target: the configuration or its id, or an application and the name of one in it.
            application: the application, by keyword.
            configuration: the configuration, by keyword.
            version: the version that it must be at, where no object is at hand.
            message: the reason, for the history, in one line: its line breaks become blanks.

        Raises:
            ConflictError: it is at another version than the one read, or a protected
                environment serves it.
            NotFoundError: there is no such configuration.

        Example:
            >>> client.configurations.delete(limits, message="no limits any more")
            >>> [configuration.name for configuration in client.configurations.list("billing")]
            ['database']
        """
        chosen, _ = self._chosen(target, application, configuration)
        self._call("DELETE", chosen, "", None, _version(chosen, version), message)

    @overload
    def rollback(
        self, configuration: Configuration | str, version: int, *, message: str | None = None
    ) -> Configuration: ...
    @overload
    def rollback(
        self,
        application: Application | str,
        configuration: str,
        version: int,
        *,
        message: str | None = None,
    ) -> Configuration: ...
    def rollback(
        self,
        *target: Target,
        application: Application | str | None = None,
        configuration: Configuration | str | None = None,
        version: int | None = None,
        message: str | None = None,
    ) -> Configuration:
        """Add a new version with the content of an old one.

        Given a :class:`Configuration`, this fails if there is a newer version than the one
        read. Environments with ``auto_release`` serve the new version, as after any other
        write; ``client.releases.rollback`` is for one environment only.

        Args:
            *target: the configuration or its id, or an application and the name of one in it.
            application: the application, by keyword.
            configuration: the configuration, by keyword.
            version: the version to bring back.
            message: the reason, for the history.

        Raises:
            ConflictError: it is at another version than the one read, or the old name is taken.
            NotFoundError: there is no such configuration.
            ValidationError: there is no such version, or its content is not valid any more.

        Example:
            >>> client.configurations.rollback(database, 1, message="too many connections")
            <Configuration 'database' ... version 4, ... UTC by ...>
        """
        chosen, (number,) = self._chosen(target, application, configuration, version)
        body = {"version": number}
        return self._send("POST", chosen, "/rollback", body, _version(chosen, None), message)

    def restore(
        self,
        configuration: Configuration | str,
        *,
        version: int | None = None,
        message: str | None = None,
    ) -> Configuration:
        """Undo the deletion of a configuration, which gets a new version.

        A deleted one is found by its id alone, which ``client.changes.list`` has.

        Args:
            configuration: the configuration or its id.
            version: the version to bring back; without it, the newest.
            message: the reason, for the history.

        Raises:
            ConflictError: it is not deleted, its application is, or its name is taken.
            NotFoundError: there has never been such a configuration.
            ValidationError: there is no such version, or its content is not valid any more.

        Example:
            >>> client.configurations.delete(limits)
            >>> client.configurations.restore(limits).version
            2
        """
        body = {} if version is None else {"version": version}
        return self._send("POST", configuration, "/restore", body, None, message)

    def _send(
        self,
        method: str,
        configuration: Configuration | str,
        action: str,
        body: Mapping[str, Any],
        based_on: int | None,
        message: str | None,
    ) -> Configuration:
        response = self._call(method, configuration, action, body, based_on, message)
        return self._api.read(response, read_configuration)

    def _call(
        self,
        method: str,
        configuration: Configuration | str,
        action: str,
        body: Mapping[str, Any] | None,
        based_on: int | None,
        message: str | None,
    ) -> Response:
        path = f"{configuration_path(configuration)}{action}"
        etag = None if based_on is None else str(based_on)
        try:
            return self._api.call(method, path, body=body, if_match=etag, message=message)
        except ConflictError as error:
            error.read_version = based_on
            raise


def _version(configuration: Configuration | str, version: int | None) -> int | None:
    if version is None and isinstance(configuration, Configuration):
        return configuration.version
    return version
