"""Removes secrets from texts for a log, a payload or a terminal; errors of other libraries may contain them."""

import re

# Up to the last @, because a password may contain a slash or an @.
_USERINFO = re.compile(r"(?<=:)//?[^\s'\"]*@")
# The same without the protocol, which somebody has forgotten.
_LOGIN = re.compile(r"[^\s'\"/:@]+:(?!/)[^\s'\"]*@(?=[\w\[])")
_SECRET = re.compile(r"(?i)([a-z0-9_-]*(?:token|pass[a-z]*|pwd|psw|pas|secret|key|auth)=)[^&\s'\"]+")
_MAX_LENGTH = 300


def redact(text: object) -> str:
    """Replace the user and password of every URL, and values that look like secrets, by `***`.

    What cannot be encoded as UTF-8 becomes an escape: a file name may contain any bytes.
    """
    encodable = str(text).encode(errors="backslashreplace").decode()
    return _SECRET.sub(r"\1***", _LOGIN.sub("***@", _USERINFO.sub("//***@", encodable)))


def redact_line(text: object) -> str:
    """Return the redacted text on one line, cut to 300 characters. For errors of other libraries."""
    line = " ".join(redact(text).split())
    return line if len(line) <= _MAX_LENGTH else line[: _MAX_LENGTH - 1] + "…"


def url_origin(url: str) -> str:
    """Return only the scheme, host and port of a URL, because some cameras have the password in the path."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{re.split(r'[/?#]', rest.rpartition('@')[2])[0]}"
