"""The longest label. A model that reads text may give a label of any length."""

import hashlib

MAX_LABEL_CHARS = 256
"""As in the configuration."""
_HASH_DIGITS = 16


def shorten_label(label: str) -> str:
    """Return a label, or the start of a longer one with a hash of all of it, so that it is still another one."""
    if len(label) <= MAX_LABEL_CHARS:
        return label
    digest = hashlib.sha256(label.encode(errors="surrogatepass")).hexdigest()[:_HASH_DIGITS]
    return f"{label[: MAX_LABEL_CHARS - len('…') - _HASH_DIGITS]}…{digest}"
