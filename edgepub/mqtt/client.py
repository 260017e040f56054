"""One connection to a broker through aiomqtt's public API, which sends one message at a time."""

import asyncio
import contextlib
import functools
import logging
import math
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

import aiomqtt
from paho.mqtt.properties import Properties

from edgepub.core.errors import MessageRejectedError
from edgepub.mqtt.limits import Limits
from edgepub.mqtt.messages import Message, OnDone
from edgepub.mqtt.paho_internals import paho_of, retrieve_errors
from edgepub.mqtt.protocol import (
    KEEP_ALIVE_TIMEOUT,
    EndedError,
    NoAnswerError,
    check_acknowledgement,
    publish_properties,
    reason_code,
)
from edgepub.mqtt.socket_reader import SocketReader

MAX_IN_FLIGHT = 64
"""How many messages may be in flight, unless the broker allows fewer."""
_DISCONNECT_TIMEOUT_S = 1.0
_TLS_REFUSAL_TIMEOUT_S = 0.1
"""With TLS 1.3 a broker refuses us after the handshake (RFC 8446, 4.4.2.4), and its reason is lost if we write then."""
_T = TypeVar("_T")

_publish_properties = functools.lru_cache(maxsize=1024)(publish_properties)


class PahoLog(logging.Logger):
    """The log of paho. It tells an operator nothing useful, but it alone has the reason why a connection was lost."""

    def __init__(self) -> None:
        super().__init__("edgepub.paho", logging.ERROR)
        self.disabled = True  # aiomqtt would log an exception for an answer that comes when nothing waits for it
        self.last_error: object = None

    def log(self, level: int, msg: object, *args: object, **_: Any) -> None:  # noqa: ANN401
        """Keep the reason of an error."""
        if level >= logging.ERROR:
            self.last_error = args[-1] if args else msg


class Client:
    """The slow path: correct with any aiomqtt 2, whatever its private parts.

    One message of QoS 1 in flight is what every broker takes, and then its acknowledgement needs no bookkeeping.

    What the fast path does and this does not: a picture that takes longer than the keep-alive ends the session, a
    message from the broker that paho cannot parse ends it too, and a WebSocket's handshake has no time limit. If the
    paho client is not where it was, a broker's refusal of a message (MQTT 5) is taken for an acknowledgement, and its
    maximum packet size is unknown.

    Args:
        mqtt: the client of aiomqtt, not connected; `log` is its logger.
        log: the log of paho.
        on_done: called in the event loop for each message of `send` when the socket has taken it (QoS 0) or the
            broker has acknowledged or refused it (QoS 1).

    Attributes:
        mqtt: the client of aiomqtt, for subscriptions.
        log: the log of paho.
        max_in_flight: how many messages of QoS 1 may be in flight, if the broker allows as many.
        limits: what the broker takes.

    """

    max_in_flight = 1

    def __init__(self, mqtt: aiomqtt.Client, log: PahoLog, on_done: OnDone) -> None:
        self.mqtt = mqtt
        self.log = log
        self.limits = Limits()
        self._on_done = on_done
        self._loop = asyncio.get_running_loop()
        self._paho = paho_of(mqtt)
        retrieve_errors(mqtt)
        self._granted: Properties | None = None  # in CONNACK
        self._has_connack = False
        self._is_abandoned = False
        self._sending: set[asyncio.Task[None]] = set()
        self._failure: asyncio.Future[aiomqtt.MqttError] = self._loop.create_future()
        self._acknowledgement: Any = None  # the reason code of the last one
        self._is_writing = False
        if self._paho:
            self._add_callback("on_connect", self._on_connect)
            self._add_callback("on_disconnect", self._on_disconnect)
            self._add_callback("on_publish", self._on_publish)
            self._paho.on_socket_open = self._on_socket_open(self._paho.on_socket_open)
            self._paho.on_socket_register_write = self._on_socket_register_write

    async def open(self) -> None:
        """Connect, and wait for CONNACK.

        Raises:
            MqttError: no connection; NoAnswerError if it ends before CONNACK, which aiomqtt does not notice.
            ValueError: the host is not a name.

        """
        opening = asyncio.ensure_future(self.mqtt.__aenter__())
        try:
            await asyncio.wait((opening, self._failure), return_when=asyncio.FIRST_COMPLETED)
            if not opening.done() and not self._has_connack:
                raise NoAnswerError if reason_code(self._failure.result()) == KEEP_ALIVE_TIMEOUT else EndedError
            await opening
        except asyncio.CancelledError:
            self.abandon()
            raise
        finally:
            opening.cancel()
        if self._paho:
            self._paho.disable_logger()  # paho would call it for each message

    async def close(self) -> None:
        """Disconnect, within a second."""
        for task in self._sending:
            task.cancel()
        self.mqtt.timeout = _DISCONNECT_TIMEOUT_S
        with contextlib.suppress(aiomqtt.MqttError):
            await self.mqtt.__aexit__(None, None, None)
        self._close_socket()

    def abandon(self) -> None:
        """Give up a connection that is being made: it would become a second one, with our last will."""
        self._is_abandoned = True
        self._disconnect()
        self._close_socket()

    def granted(self, name: str, default: int) -> int:
        """Return a property of CONNACK."""
        return int(getattr(self._granted, name, default))

    def properties(self, message: Message) -> Properties:
        """Return the properties of a message (MQTT 5)."""
        payload_format = message.payload_format
        return _publish_properties(payload_format.content_type, payload_format.schema, message.expiry_s)

    def send(self, message: Message, payload: bytes, properties: Properties | None) -> None:
        """Start to send a message; `on_done` is called when it is done.

        Raises:
            MqttError: the connection is broken.
            MessageRejectedError: the topic is not valid.

        """
        task = self._loop.create_task(self._send(message, payload, properties), name="broker-publish")
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def publish(
        self, message: Message, payload: bytes, properties: Properties | None, timeout_s: float | None = None
    ) -> None:
        """Send a message and wait until it is done; errors as in `send`, and if the broker refuses it."""
        qos, retain = self._flags(message)
        if qos:
            self._acknowledgement = None
        call = self.mqtt.publish(message.topic, payload, qos, retain, properties, timeout=timeout_s)
        try:
            await self._unless_lost(call)
        except ValueError as error:
            raise MessageRejectedError(str(error), "refused") from None
        if qos and self._acknowledgement is not None:
            check_acknowledgement(self._acknowledgement)

    async def ping(self) -> None:
        """Return when the broker has answered a ping, and so has read all that was sent before. Here: immediately."""

    async def subscribe(self, topic: str) -> Sequence[Any]:
        """Subscribe to a topic at QoS 1; return the reason codes.

        Raises:
            MqttError: the session is over, or the broker does not answer.

        """
        return await self._unless_lost(self.mqtt.subscribe(topic, qos=1))

    async def unsubscribe(self, topic: str) -> None:
        """End a subscription; errors as in `subscribe`."""
        await self._unless_lost(self.mqtt.unsubscribe(topic))

    async def messages(self) -> AsyncIterator[aiomqtt.Message]:
        """Yield each message from the broker.

        Raises:
            MqttError: the session is over; its cause is an MqttError with the reason, if there is one.

        """
        while True:
            yield await self._unless_lost(anext(self.mqtt.messages))

    def _flags(self, message: Message) -> tuple[int, bool]:
        """Return the QoS and the retain flag of a message, as the broker takes them."""
        return min(message.qos, self.limits.qos), message.retain and self.limits.retain

    async def _send(self, message: Message, payload: bytes, properties: Properties | None) -> None:
        refusal = None
        try:
            await self.publish(message, payload, properties, timeout_s=math.inf)
        except MessageRejectedError as error:
            refusal = error
        except aiomqtt.MqttError as error:
            self._fail(error.__cause__ if isinstance(error.__cause__, aiomqtt.MqttError) else error)
            return
        self._on_done(message, refusal)

    async def _unless_lost(self, call: Awaitable[_T]) -> _T:
        """Return what a call of aiomqtt returns; raise MqttError if the session ends first, which aiomqtt ignores."""
        task = asyncio.ensure_future(call)
        try:
            await asyncio.wait((task, self._failure), return_when=asyncio.FIRST_COMPLETED)
            if self._failure.done() and (not task.done() or task.exception()):
                raise aiomqtt.MqttError from self._failure.result()  # it has the reason; aiomqtt's error may not
            return task.result()
        finally:
            task.cancel()

    def _fail(self, error: aiomqtt.MqttError) -> None:
        if not self._failure.done():
            self._failure.set_result(error)

    def _close_socket(self) -> None:
        """Close the socket; by its public API, paho does that only after a DISCONNECT."""
        self._disconnect()

    def _disconnect(self) -> None:
        """Write a DISCONNECT, after which paho closes the socket; it may directly follow CONNECT (MQTT 5.0, 3.1.4)."""
        if self._paho:
            self._paho.on_socket_register_write = None  # the event loop would get a socket that is closed by then
            with contextlib.suppress(OSError, ValueError):  # of a connection that is not complete
                self._paho.disconnect()
                self._paho.loop_write()

    def _add_callback(self, name: str, callback: Callable[..., None]) -> None:
        """Make paho call this before the callback that aiomqtt has set."""
        next_callback = getattr(self._paho, name)

        def call_both(*args: Any) -> None:  # noqa: ANN401
            callback(*args)
            # aiomqtt's own `on_disconnect` raises it when the wait for CONNACK was cancelled.
            with contextlib.suppress(asyncio.CancelledError):
                next_callback(*args)

        setattr(self._paho, name, call_both)

    def _on_connect(self, _client: object, _userdata: object, _flags: object, _reason: object, granted: Any) -> None:  # noqa: ANN401
        self._granted = granted
        self._has_connack = True

    def _on_disconnect(self, _client: object, _userdata: object, _flags: object, reason: Any, *_: object) -> None:  # noqa: ANN401
        self._fail(aiomqtt.MqttCodeError(reason))

    def _on_publish(self, _client: object, _userdata: object, _mid: int, reason: Any, _properties: object) -> None:  # noqa: ANN401
        if not self._is_writing:  # else it is of QoS 0
            self._acknowledgement = reason

    def _on_socket_open(self, next_callback: Callable[..., None]) -> Callable[..., None]:
        def on_socket_open(client: object, userdata: object, sock: Any) -> None:  # noqa: ANN401
            next_callback(client, userdata, sock)
            reader = SocketReader(self._paho, sock, self._fail_by)
            self._loop.call_soon_threadsafe(reader.start, self._loop)  # it replaces aiomqtt's
            if self._is_abandoned:  # in the thread that connects: the broker's name was being resolved
                self._loop.call_soon_threadsafe(self._close_socket)

        return on_socket_open

    def _on_socket_register_write(self, _client: object, _userdata: object, sock: Any) -> None:  # noqa: ANN401
        """Write in the next turn of the event loop, in place of aiomqtt.

        aiomqtt waits until the socket takes data. uvloop no longer says so after a reset, and the session would stay.
        """

        def write() -> None:
            self._write(sock)
            if self._paho.want_write() and sock.fileno() >= 0:  # it may be closed by now
                self._loop.add_writer(sock.fileno(), write)

        if isinstance(sock, ssl.SSLSocket) and not self._has_connack:
            self._loop.call_soon_threadsafe(self._loop.call_later, _TLS_REFUSAL_TIMEOUT_S, write)
        else:  # without a check first: a socket nearly always takes the data, and a check costs as much as a write
            self._loop.call_soon_threadsafe(write)

    def _write(self, _sock: Any) -> None:  # noqa: ANN401
        """Write as much as the socket takes."""
        self._is_writing = True
        try:
            self._paho.loop_write()
        except Exception as error:  # noqa: BLE001  (paho's may be any; the session is over then)
            self._fail_by(error)
        self._is_writing = False

    def _fail_by(self, error: Exception) -> None:
        """End the session because of an error of paho."""
        self._fail(aiomqtt.MqttError(str(error)))
