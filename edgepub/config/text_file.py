"""Reads a text file that a person has written, with whatever editor."""

from collections.abc import Callable
from pathlib import Path


def read_text(path: Path, read: Callable[[Path], bytes] = Path.read_bytes) -> str:
    """Return the text, without the byte order mark that some editors put in front.

    Args:
        path: the file.
        read: returns its content.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not UTF-8 text; the error's text follows the name of the file.

    """
    content = read(path)
    if b"\0" in content:  # which are valid UTF-8, but in no text
        raise ValueError("contains zero bytes: it is damaged, or UTF-16 instead of UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None
