"""Reads a YAML file strictly, and reports mistakes in one line."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from yaml.reader import ReaderError

from edgepub.config.text_file import read_text
from edgepub.core.errors import ConfigurationError

_BOOLEAN, _TEXT = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:str"


def read_yaml(path: Path, read: Callable[[Path], bytes] = Path.read_bytes) -> object:
    """Return the content of the file; None if it is empty.

    Args:
        path: the file.
        read: returns its bytes.

    Raises:
        OSError: the file cannot be read.
        ConfigurationError: it is not YAML, or a key occurs twice.

    """
    try:
        text = read_text(path, read)
    except ValueError as error:
        raise ConfigurationError([f"{path}: {error}"]) from None
    try:
        return yaml.load(text, _Loader)  # noqa: S506  (a SafeLoader)
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        why = f"line {line}: the character U+{ord(text[error.position]):04X} is not allowed"
        raise ConfigurationError([f"{path}: {why}"]) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigurationError([f"{path}: {place}{_without_names(error.problem or 'is not YAML')}"]) from None
    except (yaml.YAMLError, ValueError, RecursionError, LookupError, AttributeError):
        raise ConfigurationError([f"{path}: is not YAML"]) from None


class _Loader(yaml.SafeLoader):
    """A loader that rejects duplicate keys, where plain YAML silently drops the first value.

    Keys like `on` and `no` are names. PyYAML takes them for true and false, as YAML 1.1 did.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue  # not a name: reported later
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} occurs twice", problem_mark=key.start_mark)
            seen.add(key.value)
            if key.tag == _BOOLEAN:
                key.tag = _TEXT
        return super().construct_mapping(node, deep)


def _without_names(problem: str) -> str:
    """Return YAML's own text, with a hint for tabs.

    Leave out names after & ! or *: such a name may be a password that begins so.
    """
    if any(word in problem for word in ("alias", "anchor", "tag")):
        return re.sub(r"'[^']*'", "", problem).strip() + "; put a value that begins with & ! or * in quotes"
    return problem + "; indent with spaces, not tabs" * (r"'\t'" in problem)
