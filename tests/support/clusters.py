"""Clusters of three real brokers, as processes on loopback. A node can be killed and started again."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sysconfig
from pathlib import Path

from tests.support.waiting import free_port, wait_until

NATS = shutil.which("nats-server", path=sysconfig.get_path("scripts")) or shutil.which("nats-server")
RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # Debian's; the one on PATH changes the user and the directory


class Nats:
    """Three `nats-server` with JetStream, which keeps sessions and messages of QoS 1 in streams with three replicas."""

    def __init__(self, directory):
        routes = {name: free_port() for name in ("n1", "n2", "n3")}
        self.nodes = [_NatsNode(directory, name, routes) for name in routes]

    def stop(self):
        for node in self.nodes:
            node.stop()


class RabbitMq:
    """Three `rabbitmq-server`, the first with MQTT, whose durable sessions have quorum queues.

    They find each other through an epmd of their own.
    """

    def __init__(self, directory):
        cookie = directory / ".erlang.cookie"
        cookie.write_text("TEST")
        cookie.chmod(0o400)
        epmd_port = free_port()
        self._epmd = _Process(["epmd", "-address", "127.0.0.1", "-port", str(epmd_port)], epmd_port)
        self.nodes = [_RabbitMqNode(directory, name, epmd_port) for name in ("n1", "n2", "n3")]

    def start(self):
        self._epmd.start()  # else the first server starts one that listens on all addresses and stays
        self.nodes[0].start()
        for node in self.nodes[1:]:
            node.launch()
        for node in self.nodes[1:]:
            node.wait()
        return self

    def stop(self):
        for node in self.nodes:
            node.stop()
        self._epmd.stop()


class _Process:
    """A server that can be started and killed several times, with all that it starts."""

    def __init__(self, command, port, log=os.devnull, environment=None):
        self._command = command
        self._awaited_port = port
        self._log = log
        self._environment = environment
        self._process = None

    def start(self):
        self.launch()
        self.wait()

    def launch(self):
        with Path(self._log).open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env=self._environment, start_new_session=True
            )

    def wait(self):
        wait_until(self._listens, f"{self._command[0]} on port {self._awaited_port}")

    def _listens(self):
        assert self._process.poll() is None, f"{self._command[0]} ended, see {self._log}"
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self._awaited_port), 1).close()
            return True

    def pause(self):
        os.killpg(self._process.pid, signal.SIGSTOP)

    def resume(self):
        os.killpg(self._process.pid, signal.SIGCONT)

    def stop(self):
        if self._process and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


class _NatsNode(_Process):
    def __init__(self, directory, name, routes):
        self.port = free_port()
        self.url = f"mqtt://127.0.0.1:{self.port}"
        others = ", ".join(f"nats://127.0.0.1:{port}" for other, port in routes.items() if other != name)
        file = directory / f"{name}.conf"
        file.write_text(f"""
            server_name: {name}
            listen: 127.0.0.1:{free_port()}
            jetstream {{ store_dir: "{directory / name}" }}
            mqtt {{ listen: 127.0.0.1:{self.port} }}
            cluster {{ name: test, listen: 127.0.0.1:{routes[name]}, routes: [{others}] }}
        """)
        super().__init__([NATS, "-c", file], self.port, directory / f"{name}.log")


class _RabbitMqNode(_Process):
    def __init__(self, directory, name, epmd_port):
        self.port = free_port()
        self.url = f"mqtt://127.0.0.1:{self.port}"
        amqp_port = free_port()
        speaks_mqtt = name == "n1"
        plugins = directory / f"{name}.plugins"
        plugins.write_text("[rabbitmq_mqtt].\n" if speaks_mqtt else "[].\n")
        conf = directory / f"{name}.conf"
        mqtt = f"mqtt.listeners.tcp.1 = 127.0.0.1:{self.port}\nmqtt.durable_queue_type = quorum\n"
        conf.write_text(
            f"listeners.tcp.1 = 127.0.0.1:{amqp_port}\n"
            "cluster_formation.peer_discovery_backend = classic_config\n"
            "cluster_formation.classic_config.nodes.1 = n1@127.0.0.1\n" + mqtt * speaks_mqtt
        )
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),  # of the cookie
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(epmd_port),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_CONFIG_FILE": str(conf),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_LOG_BASE": str(directory),
            "RABBITMQ_MNESIA_BASE": str(directory),
            "RABBITMQ_NODENAME": f"{name}@127.0.0.1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 1 +sbwt none",
            "RABBITMQ_USE_LONGNAME": "true",
        }
        port = self.port if speaks_mqtt else amqp_port
        super().__init__([RABBITMQ], port, directory / f"{name}.log", environment)
