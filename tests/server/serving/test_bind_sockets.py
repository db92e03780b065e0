"""Addresses that are taken before anything listens on them."""

import socket
from contextlib import closing

import pytest

from configsvc_server.serving.server import HttpServer, ListenError, bind_sockets


def test_every_address_of_a_name_has_the_same_port() -> None:
    sockets = bind_sockets("localhost", 0)
    ports = {bound.getsockname()[1] for bound in sockets}
    addresses = {bound.getsockname()[0] for bound in sockets}
    for bound in sockets:
        bound.close()

    assert "127.0.0.1" in addresses
    assert len(ports) == 1
    assert 0 not in ports


def test_nothing_is_accepted_until_a_server_has_them() -> None:
    [bound] = bind_sockets("127.0.0.1", 0)
    address = bound.getsockname()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=5)

    server = HttpServer(lambda _environ, _start: [], sockets=[bound])
    server.stop()
    with closing(socket.create_connection(address, timeout=5)):
        assert server.port == address[1]
    server.run()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_port_that_is_taken_is_an_error(host: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=f"can't listen on {host} port {port}: .*in use"):
            bind_sockets(host, port)


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 100, "300.1.1.1"])
def test_an_address_that_does_not_exist_is_an_error(host: str) -> None:
    with pytest.raises(ListenError, match="no such address"):
        bind_sockets(host, 0)
