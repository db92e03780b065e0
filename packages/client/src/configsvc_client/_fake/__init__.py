"""Fake server in memory, for tests of applications.

It behaves as the server does, with these exceptions: JSON Schemas are kept, but nothing is
checked by them and their defaults are not sent; it answers at once where the server would wait
for a change; and its clock stands still between requests.
"""

from configsvc_client._fake.server import FakeServer

__all__ = ["FakeServer"]
