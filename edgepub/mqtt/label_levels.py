"""Labels as topic levels: one level for each label, the same on every node and after every restart."""

import base64
import hashlib
import re
from functools import lru_cache

ALL = "all"
"""The level that stands for all labels together; a label with this name has another level."""
_REPLACED = re.compile(r"[^a-z0-9_-]+")
# Capitals and these marks may go without a trace: they only separate words. All others tell labels apart: C++ and C#.
_READABLE = re.compile(r"(?=.*[A-Za-z0-9])[A-Za-z0-9_ (),.'/&-]{1,256}", re.DOTALL)
_LEVEL = re.compile(r"(?=.*[a-z0-9])[a-z0-9_-]{1,256}")
_HASHED = re.compile(r"--0[a-z2-7]{24}$")
_MAX_START = 32
_MAX_CODED_BYTES = 40
_HASH_BYTES = 15


@lru_cache(1024)
def topic_level(label: str) -> str:
    """Return a label as a topic level, of `a-z0-9_-`.

    Two labels have one level only if they consist of ASCII letters, digits and the marks of `_READABLE`, and differ in
    nothing but capitals and those marks. Any other label has a code at the end of its level, and so has `all`.
    """
    level = _REPLACED.sub("_", label.lower())
    is_plain = _READABLE.fullmatch(label) and not _may_be_coded(level) and level != ALL
    return level if is_plain else _coded_level(label)


def former_level(label: str) -> str:
    """Return the level that version 0.1.0 gave a label; others may have had the same."""
    return _REPLACED.sub("_", label.lower())


def is_label_level(level: str) -> bool:
    """Return whether a topic level is that of any label."""
    return _LEVEL.fullmatch(level) is not None


def label_text(level: str) -> str:
    """Return the label of a level for display; roughly, if the level does not contain all of it."""
    label = _decode(level)
    if label is None:
        label = _HASHED.sub("…", level).replace("_", " ").strip() or level
    return label


def _coded_level(label: str) -> str:
    encoded = label.encode(errors="surrogatepass")
    if len(encoded) <= _MAX_CODED_BYTES:
        code = _encode(encoded)
    else:  # 0 is in no other code
        code = "0" + _encode(hashlib.sha256(encoded).digest()[:_HASH_BYTES])
    return f"{former_level(label[:_MAX_CODED_BYTES])[:_MAX_START].strip('_-')}--{code}"


def _may_be_coded(level: str) -> bool:
    return _HASHED.search(level) is not None or _decode(level) is not None


def _decode(level: str) -> str | None:
    """Return the label that a level contains as a code, or None."""
    code = level.rpartition("--")[2]
    if code in {level, ""}:
        return None
    try:
        label = base64.b32decode(code.upper() + "=" * (-len(code) % 8)).decode(errors="surrogatepass")
    except ValueError:
        return None
    return label if _coded_level(label) == level else None


def _encode(content: bytes) -> str:
    return base64.b32encode(content).decode().rstrip("=").lower()
