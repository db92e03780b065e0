"""``client.grants``: the wrapper of the endpoints for grants to principals and groups."""

from configsvc_client._http.api import Api, Pages, segment
from configsvc_client._resources.access_models import StoredGrant
from configsvc_client._resources.access_readers import read_stored_grant
from configsvc_client._resources.ids import application_id, environment_name
from configsvc_client._resources.models import Application, Environment

__all__ = ["Grants"]


class Grants:
    """Wrapper of the endpoints for grants: who has which role where.

    A client may do this with the grants of a scope that it is ``admin`` on.

    Example:
        >>> granted = client.grants.create("group:corp:payments", "releaser", "billing", "prod")
        >>> client.grants.delete(granted, message="the team has another name now")
        >>> list(client.grants.list())
        []
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    def __repr__(self) -> str:
        return "<grants: create, list, delete>"

    def create(
        self,
        principal: str,
        role: str,
        application: Application | str | None = None,
        environment: Environment | str | None = None,
        *,
        message: str | None = None,
    ) -> StoredGrant:
        """Give somebody a role on everything, on an application, or on an environment of it.

        Args:
            principal: ``ISSUER:NAME`` for a person or a workload, ``group:ISSUER:NAME`` for a
                group, ``token:`` and its id for a token.
            role: ``reader``, ``editor``, ``releaser`` or ``admin``.
            application: the application, its id or its name; ``None`` for everything.
            environment: the environment or its name; ``None`` for the whole application.
            message: the reason, for the history.

        Raises:
            AuthError: this client is not ``admin`` there.
            ConflictError: it has that role there already.
            ValidationError: the server refuses a value.

        Example:
            >>> client.grants.create("corp:ada@example.com", "editor", "billing", message="joins")
            <StoredGrant ...: 'corp:ada@example.com' is editor on billing>
        """
        body = {"principal": principal, "role": role}
        if application is not None:
            found = application if isinstance(application, str) else application.id
            body["application"] = found
        if environment is not None:
            body["environment"] = environment_name(environment)
        response = self._api.call("POST", "/grants", body=body, message=message)
        return self._api.read(response, read_stored_grant)

    def list(
        self,
        *,
        principal: str | None = None,
        application: Application | str | None = None,
        page_size: int = 200,
    ) -> Pages[StoredGrant]:
        """Iterate over grants, oldest first; pages are fetched as they are needed.

        Args:
            principal: only those to this one.
            application: only those on this application, its id or its name, or on environments
                of it.
            page_size: how many to ask for at a time, 1 to 1000.

        Raises:
            NotFoundError: there is no application of this name.

        Example:
            >>> _ = client.grants.create("corp:ada@example.com", "editor", "billing")
            >>> _ = client.grants.create("corp:bob@example.com", "reader")
            >>> [found.principal for found in client.grants.list(application="billing")]
            ['corp:ada@example.com']
        """
        found = None if application is None else application_id(self._api, application)
        return self._api.pages(
            "/grants",
            read_stored_grant,
            what="grants",
            params={"principal": principal, "application_id": found},
            page_size=page_size,
        )

    def delete(self, grant: StoredGrant | str, *, message: str | None = None) -> None:
        """Take a grant back.

        Args:
            grant: the grant or its id.
            message: the reason, for the history.

        Raises:
            NotFoundError: there is no such grant.

        Example:
            >>> granted = client.grants.create("corp:ada@example.com", "editor", "billing")
            >>> client.grants.delete(granted)
        """
        found = grant if isinstance(grant, str) else grant.id
        if found in {"", ".", ".."}:
            raise ValueError("The id of a grant can't be empty, '.' or '..'.")
        self._api.call("DELETE", f"/grants/{segment(found)}", message=message)
