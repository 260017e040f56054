"""Texts that go to a log, a payload or a terminal, without the secrets that other people's errors carry."""

import re

# Up to the last @: a password may hold a slash or an @ itself.
_USERINFO = re.compile(r"(?<=:)//?[^\s'\"]*@")
_SECRET = re.compile(r"(?i)([a-z0-9_-]*(?:token|pass[a-z]*|pwd|psw|pas|secret|key|auth)=)[^&\s'\"]+")
_LONGEST = 300


def redact(text: object) -> str:
    """Return the text with the user and password of every URL, and values that look like secrets, replaced."""
    return _SECRET.sub(r"\1***", _USERINFO.sub("//***@", str(text)))


def redact_line(text: object) -> str:
    """Return a foreign error's text redacted, on one line, and not longer than 300 characters."""
    line = " ".join(redact(text).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def url_origin(url: str) -> str:
    """Return a URL's scheme, host and port alone: some cameras want the password in the path."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{re.split(r'[/?#]', rest.rpartition('@')[2])[0]}"
