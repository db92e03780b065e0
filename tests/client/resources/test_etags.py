"""ETags: where they come from, and the writes that they are sent with."""

import pytest

from configsvc_client._resources.ids import if_match
from configsvc_client._resources.readers import read_application, read_environment
from configsvc_client.testing import FakeConfigClient
from tests.client.documents import APPLICATION, ENVIRONMENT, ITEM


@pytest.mark.parametrize(
    ("member", "header", "etag"),
    [("e1", None, "e1"), (None, "e2", "e2"), ("e1", "e2", "e2"), (None, None, None)],
)
def test_the_etag_is_that_of_the_response_or_else_of_the_item(
    member: str | None, header: str | None, etag: str | None
) -> None:
    extra = {} if member is None else {"etag": member}
    assert read_application({**ITEM, **extra}, header).etag == etag
    assert read_environment({**ENVIRONMENT, **extra}, header).etag == etag


def test_a_write_by_name_depends_on_nothing() -> None:
    assert if_match("billing") is None


def test_a_write_without_the_etag_it_should_depend_on_is_refused() -> None:
    # As a server that is older than the etags of lists makes them.
    with pytest.raises(ValueError, match=r"'billing'.* has no ETag"):
        if_match(read_application(APPLICATION))
    with pytest.raises(ValueError, match=r"'prod'.* has no ETag"):
        if_match(read_environment(ENVIRONMENT))


def test_the_fake_has_the_same_etags_in_lists_and_alone() -> None:
    client = FakeConfigClient({"billing": {"database": {"size": 1}}})
    (billing,) = client.applications.list()
    assert billing.etag == client.applications.get("billing").etag
    (default,) = client.environments.list("billing")
    assert default.etag == client.environments.get("billing", "default").etag
    client.applications.update(billing, comments="c")
    client.environments.update("billing", default, position=3)
    assert [request.headers["If-Match"] for request in client.requests[-2:]] == [
        f'"{billing.etag}"',
        f'"{default.etag}"',
    ]
