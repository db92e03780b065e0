"""Context of a request: who has to share scarce work with others."""

import falcon
import falcon.testing
import pytest

from configsvc_server.http.context import caller_of


@pytest.mark.parametrize(
    ("address", "caller"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("localhost", "localhost"),
    ],
)
def test_a_caller_is_an_address_or_the_network_of_a_host(address: str, caller: str) -> None:
    environ = falcon.testing.create_environ(remote_addr=address)

    assert caller_of(falcon.Request(environ)) == caller
