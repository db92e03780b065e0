"""Async wrappers of the endpoints for tokens and grants."""

from typing import Final

from configsvc_client._aio.wrapping import Wrapper, awaited, iterated, show
from configsvc_client._resources.grants import Grants
from configsvc_client._resources.tokens import Tokens

__all__ = ["AsyncGrants", "AsyncTokens"]


class AsyncTokens(Wrapper[Tokens]):
    """Wrapper of the endpoints for API tokens, to be awaited.

    Example:
        >>> await client.tokens.create(name="deploy", grants=[Grant("releaser", "shop")])
        <CreatedToken 'deploy' ...: releaser on shop>
    """

    create: Final = awaited(Tokens.create)
    show(
        create,
        """
        >>> created = await client.tokens.create(name="deploy", grants=[Grant("reader")])
        >>> print(created.token)
        configsvc_...
        """,
    )
    get: Final = awaited(Tokens.get)
    show(
        get,
        """
        >>> created = await client.tokens.create(name="deploy", grants=[Grant("reader")])
        >>> await client.tokens.get(created.id)
        <Token 'deploy' ...: reader on everything>
        """,
    )
    list: Final = iterated(Tokens.list)
    show(
        list,  # noqa: A003 - the one above
        """
        >>> created = await client.tokens.create(name="deploy", grants=[Grant("reader")])
        >>> [token.name async for token in client.tokens.list()]
        ['deploy']
        """,
    )
    rotate: Final = awaited(Tokens.rotate)
    show(
        rotate,
        """
        >>> created = await client.tokens.create(name="deploy", grants=[Grant("reader")])
        >>> rotated = await client.tokens.rotate(created, overlap=timedelta(hours=1))
        >>> rotated.token == created.token
        False
        """,
    )
    delete: Final = awaited(Tokens.delete)
    show(
        delete,
        """
        >>> created = await client.tokens.create(name="deploy", grants=[Grant("reader")])
        >>> await client.tokens.delete(created, message="it was in a log")
        """,
    )


class AsyncGrants(Wrapper[Grants]):
    """Wrapper of the endpoints for grants, to be awaited.

    Example:
        >>> await client.grants.create("group:corp:payments", "editor", "billing")
        <StoredGrant ...: 'group:corp:payments' is editor on billing>
    """

    create: Final = awaited(Grants.create)
    show(
        create,
        """
        >>> (await client.grants.create("corp:ada@example.com", "editor")).grant
        <Grant: editor on everything>
        """,
    )
    list: Final = iterated(Grants.list)
    show(
        list,  # noqa: A003 - the one above
        """
        >>> granted = await client.grants.create("corp:ada@example.com", "editor", "billing")
        >>> [found.principal async for found in client.grants.list(application="billing")]
        ['corp:ada@example.com']
        """,
    )
    delete: Final = awaited(Grants.delete)
    show(
        delete,
        """
        >>> granted = await client.grants.create("corp:ada@example.com", "editor", "billing")
        >>> await client.grants.delete(granted, message="has left")
        """,
    )
