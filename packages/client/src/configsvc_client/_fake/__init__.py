"""The server's part of the API, in memory, for tests of applications.

It does what the server does, with these exceptions: JSON Schemas are kept, but nothing is
checked by them and their defaults are not sent; nobody has to wait for a change; and its clock
stands still between requests.
"""

from configsvc_client._fake.server import FakeServer

__all__ = ["FakeServer"]
