"""Whether another node runs under a name: the claims on `P/info/claim`, and what a node concludes from them."""

from typing import Annotated, Any, Literal, NamedTuple

import orjson
from pydantic import StringConstraints, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from edgepub.mqtt.messages import JSON, Message, Received
from edgepub.mqtt.topics import Topics

ClaimState = Literal["asking", "waiting", "starting", "running"]
"""What a node does that sends a claim.

- `asking`: it has another name, and asks whether a node has this one.
- `waiting`: it has this name, and does not publish because another node runs or ran until recently.
- `starting`: it publishes under this name if nothing answers.
- `running`: it publishes under this name.
"""

_ECHO_TIMEOUT_S = 0.5  # a broker that does not return a node's own question does not return an answer either
_NEW_TIMEOUT_S = 0.1  # for a retained message that comes after the echo, as some brokers send it
_RETAINED_TIMEOUT_S = 0.5  # some brokers have no retained messages here, and then nothing says that no node has run
_OWN_ANSWER_TIMEOUT_S = 1.0  # most likely an earlier run of this node, which was killed
_ANSWER_TIMEOUT_S = 5.0
_STATS_TIMEOUT_S = 15.0  # an older version does not answer, but publishes stats every 10 s by default
_Word = Annotated[str, StringConstraints(max_length=100)]


class Claim(TypedDict):
    """The payload on `P/info/claim`."""

    state: ClaimState
    node_id: _Word
    boot_id: _Word
    to: _Word | None
    """The `boot_id` of the node that this answers."""


_VALIDATOR = TypeAdapter(Claim)


class Identified(NamedTuple):
    """One run of a node."""

    node_id: str
    """Empty: unknown, of an older version."""
    boot_id: str

    def claim(self, topic: str, state: ClaimState, to: str | None = None) -> Message:
        """Return the message of a claim by this run. It is of use only to those that listen now."""
        payload = orjson.dumps(Claim(state=state, node_id=self.node_id, boot_id=self.boot_id, to=to))
        return Message(topic, payload, payload_format=JSON)

    def __str__(self) -> str:
        return f"node_id {self.node_id or 'unknown: an older version'}"


def parse_claim(message: Received) -> Claim | None:
    """Return the claim in a message; None if it has none, or an old one."""
    if message.retained:
        return None
    try:
        return _VALIDATOR.validate_python(orjson.loads(message.payload), strict=True)
    except (orjson.JSONDecodeError, ValidationError):
        return None


class Inquiry:
    """Collects the signs of another node under one name, after a claim was sent there.

    Args:
        topics: the topics of the name.
        own: this run of this node.
        is_new: whether this node has never run before.

    Attributes:
        other: the other node that runs under the name, as soon as that is known.

    """

    def __init__(self, topics: Topics, own: Identified, *, is_new: bool = False) -> None:
        self.topics = topics
        self.other: Identified | None = None
        self._own = own
        self._is_new = is_new
        self._status = b""
        self._info: Identified | None = None  # of the run that published last
        self._has_echo = False

    @property
    def filters(self) -> list[str]:
        """The topics to subscribe to; without wildcards, for which some brokers give no retained messages."""
        return [self.topics.status, self.topics.info, self.topics.stats, self.topics.claim]

    def feed(self, message: Received) -> None:
        """Take a message that came on one of the topics."""
        if message.topic == self.topics.status:
            self._status = message.payload
        elif message.topic == self.topics.info:
            self._info = _parse_identity(message.payload)
            self._note_sign(message, self._info)
        elif message.topic == self.topics.stats:
            self._note_sign(message, _parse_identity(message.payload))
        elif message.topic == self.topics.claim and (claim := parse_claim(message)):
            self._take_claim(claim)

    @property
    def timeout_s(self) -> float:
        """How long after the claim to wait for a sign, as far as is known by now."""
        return max(self._answer_timeout_s, 0.0 if self._has_echo else _ECHO_TIMEOUT_S)

    @property
    def _answer_timeout_s(self) -> float:
        if not self._status:
            return _NEW_TIMEOUT_S if self._is_new else _RETAINED_TIMEOUT_S
        if self._status != b"online" or (self._info and self._info.boot_id == self._own.boot_id):
            return 0.0
        if self._info is None or not self._info.node_id:
            return _STATS_TIMEOUT_S
        return _OWN_ANSWER_TIMEOUT_S if self._info.node_id == self._own.node_id else _ANSWER_TIMEOUT_S

    def _take_claim(self, claim: Claim) -> None:
        other = Identified(claim["node_id"], claim["boot_id"])
        if other.boot_id == self._own.boot_id:
            self._has_echo = True
        elif claim["state"] == "running" or (claim["state"] == "starting" and not self._has_echo):
            self.other = other  # of two that start together, the broker's order decides

    def _note_sign(self, message: Received, sender: Identified) -> None:
        if not message.retained and sender.boot_id not in {"", self._own.boot_id}:
            # Stats have no node_id.
            self.other = self._info if self._info and self._info.boot_id == sender.boot_id else sender


def _parse_identity(payload: bytes) -> Identified:
    try:
        content: Any = orjson.loads(payload)
    except orjson.JSONDecodeError:
        content = None
    if not isinstance(content, dict):
        content = {}
    node_id, boot_id = (content.get(key) for key in ("node_id", "boot_id"))
    return Identified(node_id if isinstance(node_id, str) else "", boot_id if isinstance(boot_id, str) else "")
