"""A session with a broker by both paths: the fast one, and the slow one that uses no private part of paho."""

import asyncio
import contextlib
import gc
import socket
import subprocess
import threading
import tracemalloc
import types

import aiomqtt
import paho.mqtt.client as paho
import psutil
import pytest
import uvloop
from paho.mqtt.enums import CallbackAPIVersion

from edgepub.config.mqtt import MqttSettings
from edgepub.core.errors import (
    BrokerError,
    BrokerRefusedError,
    ConnectionLostError,
    MessageRejectedError,
    NameTakenError,
)
from edgepub.mqtt import connection
from edgepub.mqtt.messages import Message, picture_message, state_message
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.paho_internals import find_differences
from edgepub.mqtt.paho_log import PahoLog
from edgepub.mqtt.publisher import Publisher
from edgepub.mqtt.session import Session
from edgepub.mqtt.slow_client import SlowClient
from edgepub.mqtt.subscriptions import Subscriptions
from edgepub.telemetry.status import BrokerStatus
from tests.support import websocket_servers
from tests.support.broker5 import CONNACK, TAKEN_OVER
from tests.support.brokers import Mosquitto
from tests.support.sockets import queued_bytes
from tests.support.waiting import wait_until

QUOTA_EXCEEDED = b"\x40\x03{id}\x97"
NOT_AUTHORIZED = b"\x40\x03{id}\x87"


@pytest.fixture(params=[True, False], ids=["fast", "slow"])
def fast(request):
    return request.param


@pytest.fixture(autouse=True)
async def nothing_is_reported_by_asyncio():
    """Fail if an error in a future was not retrieved: asyncio would log it with a traceback."""
    reports = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reports.append(context))
    yield
    await asyncio.sleep(0)
    gc.collect()
    assert not reports


class Done:
    """The messages that are done, and errors of those that the broker does not take."""

    def __init__(self):
        self.messages = []
        self.errors = []
        self._changed = asyncio.Event()

    def __call__(self, message, error):
        self.messages.append(message)
        self.errors.append(error)
        self._changed.set()

    async def wait_for(self, number):
        async with asyncio.timeout(30):
            while len(self.messages) < number:
                self._changed.clear()
                await self._changed.wait()


@contextlib.asynccontextmanager
async def connect(broker, fast, on_done=lambda *_: None, **settings):
    settings = MqttSettings(url=broker.url, **settings)
    async with asyncio.timeout(60), connection.connect(settings, "edgepub-test", None, on_done, fast=fast) as session:
        yield session


def connections_to(port):
    """Return the connections of this process to a broker."""
    return [conn for conn in psutil.Process().net_connections() if conn.raddr and conn.raddr.port == port]


async def read(session):
    async for _ in session.messages():
        pass


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
async def test_messages_arrive_in_order_and_each_is_done_once(mosquitto, subscribe, fast, protocol):
    reader, outbox, status = subscribe(mosquitto.port), Outbox(1000), BrokerStatus()
    for n in range(400):
        topic = f"site/{'ab'[n % 2]}"
        outbox.put(Message(topic, str(n).encode(), qos=n % 2))
    outbox.drain()

    def open_session(on_done):
        settings = MqttSettings(url=mosquitto.url, protocol=protocol)
        return connection.connect(settings, "edgepub-test", None, on_done, fast=fast)

    hello, goodbye = (state_message("site/status", value) for value in ("online", "offline"))
    subscriptions = Subscriptions([], "broker", status)
    publisher = Publisher(outbox, open_session, "broker", "edgepub-test", hello, goodbye, subscriptions, print, status)
    await asyncio.wait_for(publisher.run(), 60)
    assert status.sessions == 1
    assert (outbox.in_flight, outbox.is_drained) == (0, True)
    await asyncio.to_thread(reader.wait_for, lambda r: r.last("site/status") == b"offline", "the goodbye")
    for n, topic in enumerate(["site/a", "site/b"]):
        assert [int(payload) for payload in reader.payloads(topic)] == list(range(n, 400, 2))


@pytest.mark.mosquitto
@pytest.mark.parametrize("max_in_flight", [1, 5])
async def test_the_window_is_what_the_broker_allows(tmp_path, fast, max_in_flight):
    lines = ("listener {port} 127.0.0.1", "allow_anonymous true", f"max_inflight_messages {max_in_flight}")
    broker = Mosquitto(tmp_path, *lines).start()
    try:
        async with connect(broker, fast) as session:
            assert session.window == (max_in_flight if fast else 1)
    finally:
        broker.stop()


@pytest.mark.mosquitto
async def test_a_message_too_large_for_the_broker_is_not_sent(tmp_path, fast):
    lines = ("listener {port} 127.0.0.1", "allow_anonymous true", "max_packet_size 2000")
    broker, done = Mosquitto(tmp_path, *lines).start(), Done()
    try:
        async with connect(broker, fast, done) as session:
            with pytest.raises(MessageRejectedError) as caught:
                session.send(picture_message("site/picture", b"x" * 3000))
            assert caught.value.reason == "too_large"
            session.send(state_message("site/state", "x"))
            await done.wait_for(1)
    finally:
        broker.stop()


async def test_a_message_that_the_broker_refuses_is_done_with_the_reason(fast, scripted_broker):
    broker, done = scripted_broker([CONNACK, NOT_AUTHORIZED, NOT_AUTHORIZED]), Done()
    async with connect(broker, fast, done) as session:
        message = state_message("site/state", "x")
        session.send(message)
        await done.wait_for(1)
        assert done.messages[0] is message
        assert done.errors[0].reason == "refused"
        with pytest.raises(MessageRejectedError):
            await session.publish(message)
        session.send(message)
        await done.wait_for(2)
        assert done.errors[1] is None


async def test_a_refusal_after_the_wait_for_it_is_ignored(fast, scripted_broker):
    late = NOT_AUTHORIZED.replace(b"{id}", b"{before}") + b"\x40\x02{id}"
    broker, message = scripted_broker([CONNACK, b"", late]), state_message("site/state", "x")
    async with connect(broker, fast) as session:
        given_up = asyncio.create_task(session.publish(message))
        while not broker.published:
            await asyncio.sleep(0.01)
        given_up.cancel()
        await asyncio.wait([given_up])
        await session.publish(message)


async def test_an_invalid_topic_does_not_affect_other_messages(mosquitto, fast):
    done = Done()
    async with connect(mosquitto, fast, done) as session:
        try:
            session.send(Message("site/#", b"x"))
        except MessageRejectedError as error:
            done("site/#", error)
        await done.wait_for(1)
        assert done.errors[0].reason == "refused"
        session.send(Message("site/state", b"x"))
        await done.wait_for(2)


async def test_a_broker_that_has_no_room_ends_the_session_and_nothing_is_done(fast, scripted_broker):
    """Quota exceeded: it may take the message in another session."""
    broker, done = scripted_broker([CONNACK, QUOTA_EXCEEDED]), Done()
    async with connect(broker, fast, done) as session:
        session.send(state_message("site/state", "x"))
        with pytest.raises(BrokerError) as caught:
            await read(session)
    assert "Quota exceeded" in str(caught.value)
    assert done.messages == []


@pytest.mark.mosquitto
@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
@pytest.mark.parametrize(
    ("error", "is_published"),
    [(BrokerError("it does not acknowledge"), True), (NameTakenError("another node"), False), (None, False)],
    ids=["a fault", "a name that is taken", "a clean end"],
)
async def test_the_last_will_is_published_after_a_fault(mosquitto, subscribe, fast, protocol, error, is_published):
    reader, will = subscribe(mosquitto.port), state_message("site/status", "offline")
    settings = MqttSettings(url=mosquitto.url, protocol=protocol)
    with contextlib.suppress(BrokerError):
        async with connection.connect(settings, "edgepub-test", None, will=will, fast=fast):
            if error:
                raise error
    reader.publish("site/next", "x")
    await asyncio.to_thread(reader.wait_for, lambda r: r.payloads("site/next"), "what came later")
    if is_published:
        await asyncio.to_thread(reader.wait_for, lambda r: r.payloads("site/status"), "the last will")
    else:
        assert not reader.payloads("site/status")


async def test_a_session_that_another_client_takes_over_is_refused(fast, scripted_broker):
    broker = scripted_broker([CONNACK, TAKEN_OVER])
    async with connect(broker, fast) as session:
        session.send(state_message("site/state", "x"))
        with pytest.raises(BrokerRefusedError) as caught:
            await read(session)
    assert "edgepub-test" in str(caught.value)


async def test_a_session_that_ends_during_a_subscription_is_noticed(fast, scripted_broker):
    broker = scripted_broker([CONNACK], suback=TAKEN_OVER)
    async with connect(broker, fast) as session:
        with pytest.raises(BrokerRefusedError):
            await session.subscribe("site/command")


async def test_a_broker_that_is_killed_ends_the_session_with_what_was_in_flight(mosquitto, fast):
    async with connect(mosquitto, fast) as session:
        reading = asyncio.create_task(read(session))
        await session.publish(state_message("site/state", "x"))
        mosquitto.stop()
        with pytest.raises(BrokerError):
            await reading


@pytest.mark.parametrize(
    ("packet", "has_reason"),
    [
        (None, False),  # the connection is reset
        (b"\xe0\x01\x80", False),  # unspecified error
        (b"\xe0\x01\x82", True),  # protocol error
        (b"\xe0\x01\x8d", True),  # keep-alive timeout
        (b"\xe0\x01\x93", True),  # receive maximum exceeded
        (b"\xf0\x00", True),  # AUTH, which nobody asked for
        (b"\x90\x01\x00", True),  # SUBACK without its packet identifier
    ],
)
async def test_a_session_is_lost_only_if_it_ends_without_a_reason(fast, packet, has_reason, scripted_broker):
    broker = scripted_broker([CONNACK, packet or b"\x40\x02{id}"], resets=packet is None)
    async with connect(broker, fast) as session:
        session.send(state_message("site/state", "x"))
        with pytest.raises(BrokerError) as caught:
            await read(session)
    assert isinstance(caught.value, ConnectionLostError) != has_reason, caught.value


@pytest.mark.parametrize("resets", [True, False])
@pytest.mark.parametrize("last_words", [b"", b"\x90\x04\x00\x01\x00\x01", b"\x30\x05\x00\x01a\x00b" * 300])
def test_the_end_of_a_session_is_noticed_immediately(fast, resets, last_words, scripted_broker):
    """Also if it comes together with data: uvloop reports both as one event, and nothing after it."""
    broker = scripted_broker([CONNACK], suback=None, resets=resets, last_words=last_words)

    async def subscribe():
        async with connect(broker, fast) as session:
            reading = asyncio.create_task(read(session))
            with contextlib.suppress(BrokerError):
                await session.subscribe("site/#")
            with pytest.raises(ConnectionLostError):
                async with asyncio.timeout(5):  # the keep-alive would notice it after 15 s
                    await reading

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(subscribe())


@pytest.mark.mosquitto
@pytest.mark.parametrize("size", [70_000, 20_000_000])
async def test_a_message_that_is_too_large_is_acknowledged_and_not_kept(tmp_path, caplog, size):
    """The broker sends the next message when this one is acknowledged."""
    lines = ("listener {port} 127.0.0.1", "allow_anonymous true", "max_inflight_messages 1")
    broker, topic = Mosquitto(tmp_path, *lines).start(), "site/" + "x" * 60_000
    (tmp_path / "large").write_bytes(bytes(size))
    to = ["mosquitto_pub", "-p", str(broker.port), "-q", "1"]
    try:
        async with connect(broker, fast=True, protocol="3.1.1") as session:
            await session.subscribe("site/#")
            tracemalloc.start()
            for name in (topic, "site/b"):
                await asyncio.to_thread(subprocess.run, [*to, "-t", name, "-f", tmp_path / "large"], check=True)
            await asyncio.to_thread(subprocess.run, [*to, "-t", "site/c", "-m", "x"], check=True)
            message = await anext(session.messages())
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    finally:
        broker.stop()
    assert (message.topic, message.payload) == ("site/c", b"x")
    assert peak < 2_000_000
    assert [name for line in caplog.messages for name in ("site/xxx", "site/b") if name in line] == [
        "site/xxx",
        "site/b",
    ]


@pytest.mark.parametrize("packet", [b"\x90\xff\xff\x7f\0\1\0\1", b"\xf0\xff\xff\xff\x7f"])
async def test_a_packet_that_is_too_large_and_no_message_ends_the_session(packet, scripted_broker):
    broker = scripted_broker([CONNACK, packet])
    async with connect(broker, fast=True) as session:
        session.send(state_message("site/state", "x"))
        with pytest.raises(BrokerError, match="bytes"):
            await read(session)


async def test_a_session_that_ends_while_nobody_listens_is_closed(fast, scripted_broker):
    broker = scripted_broker([CONNACK, TAKEN_OVER])
    async with connect(broker, fast) as session:
        session.send(state_message("site/state", "x"))
        while connections_to(broker.port):
            await asyncio.sleep(0.01)


def test_a_reset_directly_after_an_acknowledgement_ends_the_session(fast, scripted_broker):
    """uvloop reports the acknowledgement and the reset as one event, and nothing after it; not even room to write."""
    broker, reports = scripted_broker([CONNACK, b"\x40\x02{id}"], resets=True), []

    async def publish():
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reports.append(context))
        async with connect(broker, fast) as session:
            session.send(state_message("site/state", "x"))
            while not broker.published:
                await asyncio.sleep(0)
            assert broker.has_reset.wait(30)  # the event loop stands still, and sees both together
            async with asyncio.timeout(20):  # far less than the keep-alive
                while True:
                    await session.publish(state_message("site/state", "y"))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, pytest.raises(BrokerError):
        runner.run(publish())
    assert not reports


@pytest.mark.slow  # the slow path waits for its timeout
async def test_a_broker_that_closes_without_an_answer_is_noticed(fast):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        async def close_connection(_reader, writer):
            writer.close()

        server = await asyncio.start_server(close_connection, sock=listener.dup())
        broker = types.SimpleNamespace(url=f"mqtt://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(BrokerError):
            async with connect(broker, fast, protocol="5"):
                pass
        server.close()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"\x20\x06\0\0\x03\x21\0\0", "ReceiveMaximum"),  # 0
        (b"\x20\x09\0\0\x06\x21\0\x05\x21\0\x06", "more than once"),
        (b"\x20\x05\0\0\x02\x7f\0", "127"),  # a property that there is not
        (b"\x20\x0a\0\0\x07\x26\0\x01\xff\0\x01\xff", "utf-8"),
        (b"\x20\x01\0", "CONNACK"),
        (b"\x20\xff\xff\xff\x7f\0", "268435455 bytes"),
        (b"\x20\xff\xff\xff\xff\xff", ""),
    ],
)
async def test_an_answer_to_connect_that_cannot_be_read_is_reported_with_the_reason(answer, reason, scripted_broker):
    broker = scripted_broker([answer])
    with pytest.raises(BrokerError) as caught:
        async with asyncio.timeout(5), connect(broker, fast=True, protocol="5"):
            pass
    assert reason in str(caught.value)
    assert ("read" in str(caught.value)) == bool(reason)
    assert not connections_to(broker.port)


async def test_a_broker_that_never_answers_is_given_up(fast):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = MqttSettings(url=f"mqtt://127.0.0.1:{listener.getsockname()[1]}", protocol="5")
        with pytest.raises(BrokerError):
            async with connection.connect(settings, "edgepub-test", None, fast=fast, timeout_s=0.2):
                pass
        peer, _ = listener.accept()
        with peer:
            peer.settimeout(30)
            while peer.recv(1000):  # CONNECT, and perhaps DISCONNECT
                pass  # until it is closed: the broker must not have two connections of ours after the next try


async def test_a_connect_that_is_cancelled_leaves_no_connection(mosquitto, subscribe, fast):
    """It would be a second connection of ours, and its last will would say that we are offline."""
    mosquitto.pause()
    port = mosquitto.port

    async def open_session():
        will = state_message("garage/status", "offline")
        settings = MqttSettings(url=mosquitto.url)
        async with connection.connect(settings, "edgepub-garage", None, will=will, fast=fast):
            pass

    task = asyncio.create_task(open_session())
    async with asyncio.timeout(30):
        while not any(queued_bytes(port, conn.laddr.port).received for conn in connections_to(port)):
            await asyncio.sleep(0.01)  # until CONNECT is there
        task.cancel()
        await asyncio.wait([task])
    assert task.cancelled()
    await asyncio.sleep(0)
    assert not [conn for conn in connections_to(port) if conn.status == psutil.CONN_ESTABLISHED]
    mosquitto.resume()
    assert "garage/status" not in subscribe(mosquitto.port).retained()


class OtherPaho(paho.Client):
    """A paho that keeps its packets elsewhere."""

    def __init__(self):
        super().__init__(CallbackAPIVersion.VERSION2)
        self._out_packet = []


async def test_unexpected_private_parts_are_named():
    client = aiomqtt.Client("localhost")
    assert find_differences(client) == []
    client._client = OtherPaho()
    assert find_differences(client) == ["paho.Client._out_packet"]
    assert "aiomqtt.Client._client" in find_differences(types.SimpleNamespace())


class HiddenPaho:
    """A paho client that is not recognised as one."""

    def __init__(self, inner):
        object.__setattr__(self, "inner", inner)

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def __setattr__(self, name, value):
        setattr(self.inner, name, value)


async def test_without_the_paho_client_the_slow_path_still_delivers(mosquitto, subscribe):
    """As if aiomqtt kept it elsewhere. Then a refusal is taken for an acknowledgement."""
    reader, done, log = subscribe(mosquitto.port), Done(), PahoLog()
    mqtt = aiomqtt.Client("127.0.0.1", mosquitto.port, protocol=aiomqtt.ProtocolVersion.V5, logger=log)
    mqtt._client = HiddenPaho(mqtt._client)
    client = SlowClient(mqtt, log, done)
    await client.open()
    session = Session(client, "5")
    await session.subscribe("site/command")
    for n in range(20):
        session.send(Message("site/a", str(n).encode(), qos=n % 2))
        await done.wait_for(n + 1)
    await session.publish(state_message("site/status", "offline"))
    reader.publish("site/command", "go")
    assert (await anext(session.messages())).payload == b"go"
    await client.close()
    await asyncio.to_thread(reader.wait_for, lambda r: r.last("site/status"), "the goodbye")
    assert [int(payload) for payload in reader.payloads("site/a")] == list(range(20))


@pytest.mark.parametrize("answer", list(websocket_servers.ANSWERS), ids=lambda answer: answer.__name__)
async def test_a_websocket_that_does_not_open_is_given_up_with_the_reason(answer):
    server, threads = websocket_servers.Server(answer), threading.active_count()
    settings = MqttSettings(url=f"{server.url}/x?k=s3cret")
    with pytest.raises(BrokerError) as caught:
        async with asyncio.timeout(30), connection.connect(settings, "edgepub-test", None, fast=True, timeout_s=0.5):
            pass
    assert websocket_servers.ANSWERS[answer] in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert not connections_to(server.port)
    await asyncio.to_thread(wait_until, lambda: not server.open, "the end of the connection")
    server.close()
    assert threading.active_count() <= threads + 2  # the server's own, and one of the event loop


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("", "/mqtt"),
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("?k=v", "/mqtt?k=v"),
        ("/?k=v", "/?k=v"),
        ("/a?k=%20&l=/?", "/a?k=%20&l=/?"),
    ],
)
async def test_the_path_and_the_query_reach_the_broker(url, target):
    server = websocket_servers.Server(websocket_servers.not_found)
    with pytest.raises(BrokerError):
        async with connect(types.SimpleNamespace(url=server.url + url), fast=True):
            pass
    server.close()
    first, *lines = server.requests[0].splitlines()
    assert first == f"GET {target} HTTP/1.1"
    assert {f"Host: 127.0.0.1:{server.port}", "Upgrade: websocket"} <= set(lines)
