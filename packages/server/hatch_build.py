"""Carry the repository's ``migrations`` folder into the sdist and the wheel."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class MigrationsBuildHook(BuildHookInterface[Any]):
    """Include the migrations, whether building from the repository or from an sdist."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the folder to the files of the target that is being built."""
        if version == "editable":
            return
        root = Path(self.root)
        inside_sdist = root / "migrations"
        source = inside_sdist if inside_sdist.is_dir() else root.parents[1] / "migrations"
        if not source.is_dir():
            raise FileNotFoundError(f"no migrations folder at {source}")
        target = "migrations" if self.target_name == "sdist" else "configsvc_server/_migrations"
        build_data["force_include"][str(source)] = target
