"""A publisher for benchmarks."""

import functools

from edgepub.config.mqtt import MqttSettings
from edgepub.mqtt import connection
from edgepub.mqtt.messages import state_message
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.publisher import Publisher
from edgepub.mqtt.subscriptions import Subscriptions
from edgepub.telemetry.status import BrokerStatus


def make_publisher(outbox: Outbox, port: int) -> Publisher:
    """Return a publisher to the broker on a port of this computer."""
    hello, goodbye = (state_message("edgepub/bench/status", value) for value in ("online", "offline"))
    status = BrokerStatus()
    return Publisher(
        outbox,
        functools.partial(connection.connect, MqttSettings(url=f"mqtt://127.0.0.1:{port}"), "bench", None),
        "bench",
        "bench",
        hello,
        goodbye,
        Subscriptions([], "bench", status),
        print,
        status,
    )
