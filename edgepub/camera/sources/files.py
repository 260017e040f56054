"""The files that a source names: one file, the pictures in a folder, or those that match a pattern."""

import re
from glob import has_magic
from io import BufferedReader, FileIO
from pathlib import Path
from stat import S_ISREG

from edgepub.core.errors import SourceError

_PICTURES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
_DIGITS = re.compile(r"(\d+)")


def list_files(path: Path) -> list[Path]:
    """Return the files of a source, in the order of the numbers in their names.

    Raises:
        SourceError: there are none, or it is no pattern.
        OSError: the folder cannot be read.

    """
    if path.is_dir():
        found = [each for each in path.iterdir() if each.suffix.lower() in _PICTURES]
        missing = "no pictures in the folder"
    elif _is_pattern(path):
        found = _find_matches(path)
        missing = "no file matches"
    else:
        return [path]
    if not found:
        raise SourceError(f"{missing}: {path}")
    return sorted(found, key=_by_number)


def open_file(path: Path) -> BufferedReader:
    """Open a file.

    Raises:
        SourceError: it is missing, empty, or no file.
        OSError: it cannot be read.

    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a null character
        raise SourceError(f"no such file: {path}") from None
    if not S_ISREG(status.st_mode):  # a pipe could be waited for without end
        raise SourceError(f"a directory, a device or a pipe, not a file: {path}")
    if not status.st_size:
        raise SourceError(f"an empty file: {path}")
    return BufferedReader(FileIO(path))


def _is_pattern(path: Path) -> bool:
    """Return whether a path is a pattern such as ``shots/*.jpg``; a file with such a name is none."""
    return has_magic(str(path)) and not path.exists()


def _find_matches(path: Path) -> list[Path]:
    """Return the files that match a pattern. A folder that exists is no pattern, whatever its name is."""
    folder = next(parent for parent in path.parents if parent.exists())
    try:
        return [found for found in folder.glob(str(path.relative_to(folder))) if not found.is_dir()]
    except ValueError as error:  # `**` beside other characters
        raise SourceError(f"not a pattern: {str(error).lower()}: {path}") from None


def _by_number(path: Path) -> list[tuple[bool, int, str]]:
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in _DIGITS.split(str(path))]
