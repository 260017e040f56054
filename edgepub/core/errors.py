"""The errors of edgepub.

::

    EdgepubError
    ├── ConfigurationError    the user must change something: never tried again, exit code 78
    ├── MissingLibraryError   the machine lacks a system library: never tried again
    ├── StateInUseError       another edgepub has the state folder: the end of this one, exit code 1
    ├── StateError            what was to be kept over restarts cannot be: nothing has changed
    └── RetryableError        worth another try after a pause
        ├── SourceError       a camera or a file gives no frames
        ├── ModelError        a model cannot be loaded or fails on a frame
        ├── SpoolError        the file of events cannot be read or written
        │   └── SpoolDamagedError   ... and has been set aside for a new one
        └── BrokerError       no session with the MQTT broker, or it broke
            ├── BrokerRefusedError      the broker does not want this client: worth a try after a long pause only
            └── SubscriptionRefusedError   the session stands, but the broker refuses a subscription

Two stand beside them, for one thing that is dropped and counted, and nothing is tried again: ``InvalidResultError``, a
result that cannot become a valid payload, and ``MessageRejectedError``, a message that the broker does not take.
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


class StateInUseError(EdgepubError):
    """Another edgepub uses the state folder."""


class StateError(EdgepubError):
    """What was to be kept over restarts cannot be written."""


class RetryableError(EdgepubError):
    """Something outside failed that may work again later."""


class SourceError(RetryableError):
    """A source that cannot be opened or stopped giving frames."""


class ModelError(RetryableError):
    """A model that cannot be loaded, or failed on a frame."""


class SpoolError(RetryableError):
    """The file of events cannot be read or written; it may be possible later."""


class SpoolDamagedError(SpoolError):
    """The file of events was damaged; it has been set aside, and a new one begins."""


class BrokerError(RetryableError):
    """No session with the MQTT broker, or one that broke."""


class BrokerRefusedError(BrokerError):
    """The broker does not want this client, and another try at once would change nothing."""


class SubscriptionRefusedError(BrokerError):
    """The broker refuses a subscription."""


class InvalidResultError(EdgepubError):
    """A result that cannot be made a valid payload."""


class MessageRejectedError(EdgepubError):
    """A message that the broker does not take.

    Attributes:
        reason: for the count of what is dropped, `too_large` or `refused`.

    """

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(text)
        self.reason = reason
