"""``client.applications``: the wrapper of the application endpoints."""

from typing import Any

from configsvc_client._http.api import KEEP, Api, Keep, Pages
from configsvc_client._resources.ids import application_path, if_match
from configsvc_client._resources.models import Application
from configsvc_client._resources.readers import read_application

__all__ = ["Applications"]


class Applications:
    """Wrapper of the application endpoints.

    Example:
        >>> client.applications.create(name="mail", comments="Letters and newsletters")
        <Application 'mail' ..., 0 configurations>
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    def __repr__(self) -> str:
        return "<applications: create, get, list, update, replace, delete>"

    def create(
        self,
        *,
        name: str,
        comments: str | None = None,
        id: str | None = None,  # noqa: A002 - the name of the member
        message: str | None = None,
    ) -> Application:
        """Create an application.

        Args:
            name: 1 to 256 characters, unique, and not shaped like a ULID.
            comments: a description for people.
            id: a ULID of your own.
            message: the reason, for the history.

        Raises:
            ConflictError: the name or id is taken.
            ValidationError: the server refuses a value.

        Example:
            >>> client.applications.create(name="mail").name
            'mail'
        """
        body: dict[str, Any] = {"name": name, "comments": comments}
        if id is not None:
            body["id"] = id
        response = self._api.call("POST", "/applications", body=body, message=message)
        return self._api.read_with_etag(response, read_application)

    def get(self, application: Application | str) -> Application:
        """Return an application by its id or name, or a given one as it is now.

        Raises:
            NotFoundError: there is no such application.

        Example:
            >>> client.applications.get("billing").comments
            'Invoices and payments'
        """
        response = self._api.call("GET", application_path(self._api, application))
        return self._api.read_with_etag(response, read_application)

    def list(
        self,
        *,
        name: str | None = None,
        q: str | None = None,
        sort: str | None = None,
        page_size: int = 200,
    ) -> Pages[Application]:
        """Iterate over applications, oldest first; pages are fetched as they are needed.

        Args:
            name: only the one with exactly this name.
            q: only those with this text in their name or comments.
            sort: a member to sort by, with ``-`` before it for the opposite order.
            page_size: how many to ask for at a time, 1 to 1000.

        Example:
            >>> [application.name for application in client.applications.list()]
            ['billing', 'shop']
        """
        return self._api.pages(
            "/applications",
            read_application,
            what="applications",
            params={"name": name, "q": q, "sort": sort},
            page_size=page_size,
        )

    def update(
        self,
        application: Application | str,
        *,
        name: str | Keep = KEEP,
        comments: str | Keep | None = KEEP,
        message: str | None = None,
    ) -> Application:
        """Update parts of an application.

        Given an :class:`Application`, this fails if it has changed since it was read. Given an
        id or a name, the last of several writers wins.

        Args:
            application: the application, its id or its name.
            name: a new name.
            comments: new comments; ``None`` removes them.
            message: the reason, for the history.

        Raises:
            ConflictError: it has changed, or the new name is taken.
            NotFoundError: there is no such application.

        Example:
            >>> billing = client.applications.get("billing")
            >>> client.applications.update(billing, comments="Invoices", message="short").comments
            'Invoices'
        """
        body = {"name": name, "comments": comments}
        return self._write(
            "PATCH",
            application,
            {member: value for member, value in body.items() if value is not KEEP},
            message,
        )

    def replace(
        self,
        application: Application | str,
        *,
        name: str,
        comments: str | None = None,
        message: str | None = None,
    ) -> Application:
        """Replace every member of an application; those left out take their defaults.

        Args:
            application: the application, its id or its name.
            name: the name.
            comments: a description for people.
            message: the reason, for the history.

        Raises:
            ConflictError: it has changed since it was read, or the new name is taken.
            NotFoundError: there is no such application.

        Example:
            >>> client.applications.replace("billing", name="invoices").name
            'invoices'
        """
        return self._write("PUT", application, {"name": name, "comments": comments}, message)

    def delete(self, application: Application | str, *, message: str | None = None) -> None:
        """Delete an application with all its configurations.

        Raises:
            ConflictError: it has changed since it was read, or a protected environment serves
                one of its configurations.
            NotFoundError: there is no such application.

        Example:
            >>> client.applications.delete("shop", message="moved to billing")
            >>> [application.name for application in client.applications.list()]
            ['billing']
        """
        path = application_path(self._api, application)
        self._api.call("DELETE", path, if_match=if_match(application), message=message)

    def _write(
        self,
        method: str,
        application: Application | str,
        body: dict[str, Any],
        message: str | None,
    ) -> Application:
        path, etag = application_path(self._api, application), if_match(application)
        response = self._api.call(method, path, body=body, if_match=etag, message=message)
        return self._api.read_with_etag(response, read_application)
