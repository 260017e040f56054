"""A daemon with very many events, its broker, a relay between them that fails, and a subscriber of everything."""

from tests.support.brokers import Mosquitto
from tests.support.mill import Gate, Reader, ReceivedMessages, mill, on_disk
from tests.support.waiting import wait_until


class MillSite:
    """A broker that has not started, and the settings of a daemon behind the relay.

    Args:
        directory: for the files of the broker and of the daemon.
        run_daemon: the fixture.
        studio: the fixture.

    """

    def __init__(self, directory, run_daemon, studio):
        self.broker = Mosquitto(directory)
        self.gate = Gate(self.broker.port)
        self.received = ReceivedMessages()
        self.settings = mill(studio, f"mqtt://127.0.0.1:{self.gate.port}")
        self.events_file = directory / "state" / "events.sqlite"
        self._run = run_daemon
        self._reader = None

    def start_broker(self):
        """Start the broker; connect the reader before the daemon, so that it misses nothing."""
        self.broker.start()
        self._reader = Reader(self.broker.port, self.received)
        self.gate.open()

    def stop_broker(self):
        self.broker.stop()
        self._reader.wait_for_the_end()
        self.gate.close()

    def start_daemon(self, **environment):
        self.daemon = self._run(self.settings, **environment)
        return self.daemon

    def wait_for_events_on_disk(self, number=30, without=None):
        """Wait for this number of events there, without these; by default without those that are there now."""
        without = on_disk(self.events_file) if without is None else without
        wait_until(lambda: len(on_disk(self.events_file) - without) >= number, f"{number} events on disk")

    def close(self):
        self.gate.close()
        self.broker.stop()
        if self._reader:
            self._reader.close()
