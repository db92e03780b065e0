"""YAML documents (extra ``yaml``)."""

from collections.abc import Callable
from typing import Any, Final

import yaml

from configsvc_client.errors import ConfigFileError

__all__ = ["parse"]

_MOST_VALUES: Final = 1_000_000
"""Values of a document once each alias is replaced by what it stands for. It is far beyond what
people write, and a few lines of aliases of aliases would be gigabytes."""


def parse(text: str, error: Callable[[str, int | None, int | None], ConfigFileError]) -> object:
    """Return the one document in a text.

    Args:
        text: the text.
        error: makes an error of the rest of a sentence, line and column.

    Raises:
        ConfigFileError: it is not YAML, or has a key twice.
    """
    try:
        # A SafeLoader: it makes plain values only.
        return yaml.load(text, Loader=_Loader)  # noqa: S506
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        position = (mark.line + 1, mark.column + 1) if mark else (None, None)
        raise error(f"is no YAML ({problem.problem or problem.context})", *position) from None
    except yaml.YAMLError as problem:
        raise error(f"is no YAML ({' '.join(str(problem).split())})", None, None) from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as problem:
        # Such as a date that no calendar has, or a tag that its value does not fit.
        raise error(f"has an impossible value ({problem})", None, None) from None


class _Loader(yaml.SafeLoader):
    """Loader that refuses a key which stands twice in one mapping; the last one would win.

    It also refuses what would be too much, before it is made.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._counts: dict[yaml.Node, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        node: yaml.Node | None = super().compose_node(parent, index)
        if node is not None and node not in self._counts:
            count = 1 + sum(map(self._count, node.value if isinstance(node.value, list) else ()))
            if count > _MOST_VALUES:
                what = f"its aliases stand for more than {_MOST_VALUES:,} values"
                raise yaml.composer.ComposerError(None, None, what, node.start_mark)
            self._counts[node] = count
        return node

    def _count(self, part: yaml.Node | tuple[yaml.Node, yaml.Node]) -> int:
        # A node that is not known yet has itself inside.
        nodes = part if isinstance(part, tuple) else (part,)
        return sum(self._counts.get(node, 1) for node in nodes)

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        # Not when it is constructed: by then, merged keys stand beside those that override them.
        node = super().compose_mapping_node(anchor)
        written = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in written:
                    raise yaml.composer.ComposerError(
                        None, None, f"the key {key.value!r} stands twice here", key.start_mark
                    )
                written.add((key.tag, key.value))
        return node
