"""The errors of edgepub.

::

    EdgepubError
    ├── ConfigurationError    the user must change something: never tried again, exit code 78
    ├── MissingLibraryError   the machine lacks a system library: never tried again
    └── RetryableError        worth another try after a pause
        ├── SourceError       a camera or a file gives no frames
        ├── ModelError        a model cannot be loaded or fails on a frame
        └── BrokerError       no session with the MQTT broker, or it broke
            └── NotAllowedError   the session stands, but the broker refuses a subscription

``InvalidResultError`` stands beside them: one result that cannot become a valid payload; it is dropped and counted,
and nothing is tried again.
"""


class EdgepubError(Exception):
    """The root of what edgepub raises; its text is one line for a person, without secrets."""


class ConfigurationError(EdgepubError):
    """A wrong configuration.

    Attributes:
        mistakes: one line for each mistake, ``FILE: key.path: why and the way out``.

    """

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class MissingLibraryError(EdgepubError):
    """A system library that PySDK or its OpenCV needs is not on this machine."""


class RetryableError(EdgepubError):
    """Something outside failed that may work again later."""


class SourceError(RetryableError):
    """A source that cannot be opened or stopped giving frames."""


class ModelError(RetryableError):
    """A model that cannot be loaded, or failed on a frame."""


class BrokerError(RetryableError):
    """No session with the MQTT broker, or one that broke."""


class NotAllowedError(BrokerError):
    """The broker refuses a subscription."""


class InvalidResultError(EdgepubError):
    """A result that cannot be made a valid payload."""
