"""PySDK's error texts, as one line."""

import re

from edgepub.core.redaction import redact_line

_HTTP_LIBRARY = re.compile(r": HTTPS?ConnectionPool\(.*", re.DOTALL)
_SOURCE_LOCATION = re.compile(r"\w+\.(h|cpp): \d+ \[")
_CUT_OFF_ANSWER = re.compile(r"\[json\.exception\.parse_error\.\d+\].*MessagePack.*")


def clean_error(error: Exception) -> str:
    """Return the text of a PySDK error in one line, without its source locations and its HTTP library's details."""
    text = _HTTP_LIBRARY.sub("; is there a network?", str(error)).replace("[ERROR]", "")
    text = _CUT_OFF_ANSWER.sub("the AI server ended in the middle of an answer", text)
    return redact_line("; ".join(line for line in text.splitlines() if line and not _SOURCE_LOCATION.match(line)))
