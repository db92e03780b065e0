"""``client.configurations``: configurations and their versions."""

from collections.abc import Mapping
from typing import Any

from configsvc_client._http.api import KEEP, Api, Keep, Pages
from configsvc_client._http.types import Response
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
    read_configuration,
    read_diff,
    read_revision,
    read_validation,
)
from configsvc_client.errors import ConflictError, NotFoundError

__all__ = ["Configurations"]


class Configurations:
    """Wrapper of the configuration endpoints: reads, writes, history and validation.

    Example:
        >>> client.configurations.create("shop", name="database", config={"pool_size": 10})
        <Configuration 'database' ... version 1, ... UTC by ...>
    """

    def __init__(self, api: Api) -> None:
        self._api = api

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
        body = _document(name, config, comments, overlays, schema)
        if id is not None:
            body["id"] = id
        return self._send("POST", path, body, None, message)

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
        """Update parts of a configuration.

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
            message: the reason, for the history.

        Raises:
            ConflictError: it is at another version, or the new name is taken.
            NotFoundError: there is no such configuration.
            ValidationError: the server refuses a value.

        Example:
            >>> database = client.configurations.find("billing", "database")
            >>> client.configurations.update(database, config={"pool_size": 20}, message="load")
            <Configuration 'database' ... version 4, ... UTC by ...>
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
        """Replace every member of a configuration; those left out take their defaults.

        Args:
            configuration: the configuration or its id.
            name: the name.
            config: the values, a JSON object.
            comments: a description for people.
            overlays: JSON Merge Patches over ``config`` by name of an environment.
            schema: the JSON Schema of the values.
            version: the version that the change is based on, where only the id is at hand.
            message: the reason, for the history.

        Raises:
            ConflictError: it is at another version than the one read, or the name is taken.
            NotFoundError: there is no such configuration.
            ValidationError: the server refuses a value.

        Example:
            >>> client.configurations.replace(database, name="database", config={"pool_size": 5})
            <Configuration 'database' ... version 4, ... UTC by ...>
        """
        body = _document(name, config, comments, overlays, schema)
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

        Args:
            configuration: the configuration or its id.
            version: the version that it must be at, where only the id is at hand.
            message: the reason, for the history.

        Raises:
            ConflictError: it is at another version than the one read, or a protected
                environment serves it.
            NotFoundError: there is no such configuration.

        Example:
            >>> client.configurations.delete(limits, message="no limits any more")
            >>> [configuration.name for configuration in client.configurations.list("billing")]
            ['database']
        """
        path = configuration_path(configuration)
        self._call("DELETE", path, None, _version(configuration, version), message)

    def history(
        self,
        configuration: Configuration | str,
        *,
        newest_first: bool = False,
        page_size: int = 200,
    ) -> Pages[Revision]:
        """Iterate over the versions of a configuration, oldest first, also of a deleted one.

        Args:
            configuration: the configuration or its id.
            newest_first: whether to begin with the newest.
            page_size: how many to ask for at a time, 1 to 1000.

        Example:
            >>> [revision.message for revision in client.configurations.history(database)]
            [None, 'more load', 'still more load']
        """
        return self._api.pages(
            f"{configuration_path(configuration)}/revisions",
            read_revision,
            what="revisions",
            params={"sort": "-version" if newest_first else None},
            page_size=page_size,
        )

    def revision(self, configuration: Configuration | str, version: int) -> Revision:
        """Return a configuration as it was at a version, also a deleted one.

        Raises:
            NotFoundError: there is no such configuration or version.

        Example:
            >>> client.configurations.revision(database, 1).config["pool_size"]
            5
        """
        path = f"{configuration_path(configuration)}/revisions/{version:d}"
        return self._api.read(self._api.call("GET", path), read_revision)

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
    ) -> ConfigurationDiff:
        """Compare two versions, two environments, or a version and a document.

        Args:
            configuration: the configuration or its id.
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
        path = f"{configuration_path(configuration)}/diff"
        names = {
            "from_environment": _name(from_environment),
            "to_environment": _name(to_environment),
            "environment": _name(environment),
        }
        if document is None:
            versions = {"from": _digits(from_), "to": _digits(to)}
            response = self._api.call("GET", path, params={**versions, **names})
        else:
            if to is not None or names["to_environment"] or names["from_environment"]:
                raise ValueError("A document is compared with a version: give no more than from_.")
            given = {"from": from_, "environment": names["environment"], "document": document}
            body = {member: value for member, value in given.items() if value is not None}
            response = self._api.call("POST", path, body=body)
        return self._api.read(response, read_diff)

    def rollback(
        self, configuration: Configuration | str, version: int, *, message: str | None = None
    ) -> Configuration:
        """Add a new version with the content of an old one.

        Given a :class:`Configuration`, this fails if there is a newer version than the one
        read. Environments with ``auto_release`` serve the new version, as after any other
        write; ``client.releases.rollback`` is for one environment only.

        Args:
            configuration: the configuration or its id.
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
        path = f"{configuration_path(configuration)}/rollback"
        based_on = configuration.version if isinstance(configuration, Configuration) else None
        return self._send("POST", path, {"version": version}, based_on, message)

    def restore(
        self,
        configuration: Configuration | str,
        *,
        version: int | None = None,
        message: str | None = None,
    ) -> Configuration:
        """Undo the deletion of a configuration, which gets a new version.

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
        path = f"{configuration_path(configuration)}/restore"
        return self._send("POST", path, body, None, message)

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
            **_document(name, config, comments, overlays, schema),
        }
        if configuration is not None:
            body["id"] = configuration_id(configuration)
        response = self._api.call("POST", "/configurations/validate", body=body)
        return self._api.read(response, read_validation)

    def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any],
        based_on: int | None,
        message: str | None,
    ) -> Configuration:
        return self._api.read(self._call(method, path, body, based_on, message), read_configuration)

    def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        based_on: int | None,
        message: str | None,
    ) -> Response:
        etag = None if based_on is None else str(based_on)
        try:
            return self._api.call(method, path, body=body, if_match=etag, message=message)
        except ConflictError as error:
            error.read_version = based_on
            raise


def _document(
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


def _version(configuration: Configuration | str, version: int | None) -> int | None:
    if version is None and isinstance(configuration, Configuration):
        return configuration.version
    return version
