"""Names from the configuration and of labels, in the form for display."""

import re


def display_name(name: str) -> str:
    """Return a name from the configuration in the form for display."""
    return capitalize(readable(name))


def readable(name: str) -> str:
    """Return a name from the configuration with spaces for its separators."""
    return re.sub("[_-]+", " ", name).strip() or name


def displayable(label: str) -> str:
    """Return a label without characters that cannot be shown."""
    return "".join(character if character.isprintable() else " " for character in label).strip() or "?"


def capitalize(text: str) -> str:
    """Return a text that begins with a capital. The other letters stay as they are: `TV` is right."""
    return text[:1].upper() + text[1:]
