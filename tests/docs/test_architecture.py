"""Architecture document: every module, name and test that it refers to exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = [ROOT / f"packages/{part}/src/configsvc_{part}" for part in ("server", "client")]
DOCUMENTS = [
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs/decisions").glob("*.md")),
]
REFERENCE = re.compile(r"`([\w/]+\.(?:py|sql))(?:(::?)([\w.:]+))?`")


def references() -> list[tuple[str, str, str]]:
    return sorted(
        {
            (document.name, path, (names or "").replace("::", "."))
            for document in DOCUMENTS
            for path, _, names in REFERENCE.findall(document.read_text())
        }
    )


@pytest.mark.parametrize(("document", "path", "names"), references())
def test_what_a_document_refers_to_exists(document: str, path: str, names: str) -> None:
    found = [base / path for base in (*SOURCES, ROOT) if (base / path).is_file()]
    assert found, f"{document} refers to {path}"
    for name in filter(None, names.split(".")):
        definition = re.compile(rf"^\s*(?:def |class )?{re.escape(name)}\b", re.MULTILINE)
        assert any(definition.search(file.read_text()) for file in found)


def test_the_architecture_refers_to_many() -> None:
    assert sum(document == "architecture.md" for document, _, _ in references()) > 100
