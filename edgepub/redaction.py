"""Texts that go to a log, a payload or a terminal, without the secrets that other people's errors carry."""

import re

_USERINFO = re.compile(r"(?<=://)[^/\s]*@")
_TOKEN = re.compile(r"(?i)\b((?:token|password|passwd|pwd|secret|api_?key)=)[^&\s'\"]+")
_LONGEST = 300


def redacted(text: object) -> str:
    """Return the text with the user and password of every URL, and secrets in queries, replaced by ``***``."""
    return _TOKEN.sub(r"\1***", _USERINFO.sub("***@", str(text)))


def one_line(text: object) -> str:
    """Return a foreign error's text redacted, on one line, and not longer than 300 characters."""
    line = " ".join(redacted(text).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
