"""Command line as a module: ``python -m configsvc_server``."""

from configsvc_server.cli.main import main

if __name__ == "__main__":
    main()
