"""YAML documents (extra ``yaml``)."""

from collections.abc import Callable
from typing import Any

import yaml

from configsvc_client.errors import ConfigFileError

__all__ = ["parse"]


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
    """Loader that refuses a key which stands twice in one mapping; the last one would win."""

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
