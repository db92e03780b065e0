"""Root command ``configsvc``, to which each module of this package adds its command."""

import click

from configsvc_server import __version__
from configsvc_server.cli.access import grant, token
from configsvc_server.cli.log_level import log_level
from configsvc_server.cli.migrate import migrate
from configsvc_server.cli.serve import serve

__all__ = ["main"]


@click.group(
    commands=[serve, migrate, token, grant, log_level],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="configsvc")
def main() -> None:
    """Configuration as a service: versioned JSON configurations behind a REST API."""
