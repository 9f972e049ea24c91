"""YAML into plain values: the safe part of the language, with fewer surprises.

It differs from YAML 1.1: only ``true`` and ``false`` are booleans (``off`` and ``no`` are texts), dates are texts, and
a key that stands twice in one mapping is a fault. Messages name line and column and never quote the file, which may
contain a secret in the wrong place.
"""

import re
from collections.abc import Hashable

import yaml

from gateway.errors import ConfigError

_QUOTED = re.compile(r"'[^']{2,}'|\"[^\"]{2,}\"")


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the rules above."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:  # noqa: FBT001, FBT002  # PyYAML's signature
        """Refuse a key that stands twice."""
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(None, None, "an option stands twice", key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """PyYAML's rules for plain scalars without dates, merge keys and the many names of true and false."""
    dropped = {"tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:merge"}
    kept = {
        first: [(tag, expression) for tag, expression in rules if tag not in dropped]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    for first in "tf":
        kept.setdefault(first, []).append(("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$")))
    return kept


_Loader.yaml_implicit_resolvers = _resolvers()


def parse_yaml(text: str) -> object:
    """The value of one YAML document.

    Raises:
        ConfigError: the text is not such a document.
    """
    try:
        return yaml.load(text, _Loader)  # noqa: S506  # a safe loader, see above
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigError((f"{where}{_QUOTED.sub('...', error.problem or 'not YAML')}",)) from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ConfigError(("the file is not YAML text",)) from None
