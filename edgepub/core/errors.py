"""The errors of edgepub.

::

    EdgepubError
    ├── ConfigurationError       the user has to change something: not retried, exit code 78
    ├── MissingLibraryError      a system library is missing on this machine: not retried
    ├── StateInUseError          another edgepub uses the state directory: this one exits with code 1
    ├── StateError               state could not be saved
    ├── InvalidResultError       a result that cannot be converted to a valid payload: dropped and counted, not retried
    ├── MessageRejectedError     a message that the broker rejects: dropped and counted, not retried
    └── RetryableError           retried after a pause
        ├── SourceError          a camera or a file gives no frames
        ├── ModelError           a model cannot be loaded, or fails on a frame
        ├── SpoolError           the event file cannot be read or written
        │   └── SpoolReplacedError         the event file cannot be used: renamed, and replaced by a new one
        └── BrokerError          no session with the MQTT broker, or the session broke
            ├── BrokerRefusedError         the broker refuses this client: retried only after a long pause
            ├── ConnectionLostError        the session ended, and the broker gave no reason
            ├── NameTakenError             another node with the same name is running
            └── SubscriptionRefusedError   the broker refuses a subscription; the session continues
"""


class EdgepubError(Exception):
    """The root of edgepub's errors. The text is one line for the user, without secrets."""


class ConfigurationError(EdgepubError):
    """A configuration with mistakes.

    Attributes:
        mistakes: one line for each mistake, ``FILE: key.path: what is wrong and how to fix it``.

    """

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class MissingLibraryError(EdgepubError):
    """A system library that PySDK or its OpenCV needs is missing on this machine."""


class StateInUseError(EdgepubError):
    """Another edgepub uses the state directory."""


class StateError(EdgepubError):
    """State that must survive a restart cannot be written."""


class RetryableError(EdgepubError):
    """Something outside edgepub failed and may work later."""


class SourceError(RetryableError):
    """A source cannot be opened, or gives no more frames."""


class ModelError(RetryableError):
    """A model cannot be loaded, or failed on a frame."""


class SpoolError(RetryableError):
    """The event file cannot be read or written at the moment."""


class SpoolReplacedError(SpoolError):
    """The event file is damaged, or from a newer edgepub. It was renamed, and a new one is used."""


class BrokerError(RetryableError):
    """There is no session with the MQTT broker, or it broke.

    Attributes:
        is_over_message: whether the broker may have ended the session over a message.

    """

    is_over_message = False


class BrokerRefusedError(BrokerError):
    """The broker refuses this client; an immediate retry would fail as well."""


class ConnectionLostError(BrokerError):
    """The session ended, and the broker gave no reason."""

    is_over_message = True


class NameTakenError(BrokerError):
    """Another node with the same name is running; this one publishes nothing meanwhile."""


class SubscriptionRefusedError(BrokerError):
    """The broker refuses a subscription."""


class InvalidResultError(EdgepubError):
    """A result cannot be converted to a valid payload."""


class MessageRejectedError(EdgepubError):
    """The broker rejects a message.

    Attributes:
        reason: the drop reason to count, `too_large` or `refused`.

    """

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(text)
        self.reason = reason
