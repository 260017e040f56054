"""A file in YAML, read strictly, and what is wrong with it in a line for a person."""

import re
from pathlib import Path
from typing import Any

import yaml

from edgepub.core.errors import ConfigurationError


def read_yaml(path: Path) -> object:
    """Return what is in it; None: nothing.

    Raises:
        OSError: it cannot be read.
        ConfigurationError: it is not YAML, or has a key twice.

    """
    try:
        with path.open(encoding="utf-8") as file:
            return yaml.load(file, _Loader)  # noqa: S506  (a SafeLoader)
    except UnicodeDecodeError:
        raise ConfigurationError([f"{path}: is not a text in UTF-8"]) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigurationError([f"{path}: {place}{_harmless(error.problem or 'is not YAML')}"]) from None
    except (yaml.YAMLError, ValueError, RecursionError, LookupError, AttributeError):
        raise ConfigurationError([f"{path}: is not YAML"]) from None


class _Loader(yaml.SafeLoader):
    """YAML in which a key given twice is an error, not a value silently lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue  # not a name; said so further on
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} is given twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _harmless(problem: str) -> str:
    """Return YAML's own words without a name behind & ! or *: it may be a password that begins so."""
    if any(word in problem for word in ("alias", "anchor", "tag")):
        return re.sub(r"'[^']*'", "", problem).strip() + "; put a value that begins with & ! or * into quotes"
    return problem
