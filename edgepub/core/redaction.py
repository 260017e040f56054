"""Removes secrets from texts for a log, a payload or a terminal; errors of other libraries may contain them."""

import re

# Up to the last @, because a password may contain a slash or an @.
_USERINFO = re.compile(r"(?<=:)//?[^\s'\"]*@")
# The same without the protocol, which somebody has forgotten.
_LOGIN = re.compile(r"[^\s'\"/:@]+:(?!/)[^\s'\"]*@(?=[\w\[])")
_SECRET = re.compile(r"(?i)([a-z0-9_-]*(?:token|pass[a-z]*|pwd|psw|pas|secret|key|auth)=)[^&\s'\"]+")
_AUTHORITY_END = re.compile(r"[/?#]")
_HOST = re.compile(r"(\[[^\]]*\]|[^\s:]*)(:\d{0,5})?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_MAX_LENGTH = 300


def redact(text: object) -> str:
    """Replace the user and password of every URL, and values that look like secrets, by `***`.

    What cannot be encoded as UTF-8 becomes an escape: a file name may contain any bytes.
    """
    encodable = str(text).encode(errors="backslashreplace").decode()
    return _SECRET.sub(r"\1***", _LOGIN.sub("***@", _USERINFO.sub("//***@", encodable)))


def redact_line(text: object) -> str:
    """Return the redacted text on one line, cut to 300 characters. For errors of other libraries."""
    line = " ".join(_CONTROL.sub(" ", redact(text)).split())
    return line if len(line) <= _MAX_LENGTH else line[: _MAX_LENGTH - 1] + "…"


def url_origin(url: str) -> str:
    """Return only the scheme, host and port of a URL, because some cameras have the password in the path."""
    scheme, _, rest = url.partition("://")
    host = _AUTHORITY_END.split(rest)[0].rpartition("@")[2]
    if not _HOST.fullmatch(host):  # a password with a character that ends the host
        host = _AUTHORITY_END.split(rest.rpartition("@")[2])[0]
    return f"{scheme}://{host}"
