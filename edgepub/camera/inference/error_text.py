"""What PySDK says, as one line for a person."""

import re

from edgepub.core.redaction import redact_line

_HTTP_LIBRARY = re.compile(r": HTTPS?ConnectionPool\(.*", re.DOTALL)
_PLACE = re.compile(r"\w+\.(h|cpp): \d+ \[")


def clean_error(error: Exception) -> str:
    """Return what PySDK says, without the places in its sources and without the inside of its HTTP library."""
    text = _HTTP_LIBRARY.sub("; is there a network?", str(error)).replace("[ERROR]", "")
    return redact_line("; ".join(line for line in text.splitlines() if line and not _PLACE.match(line)))
