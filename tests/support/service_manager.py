"""A service manager, as far as the daemon reports to it (sd_notify)."""

import asyncio
import signal
import socket

from tests.support.waiting import wait_until


class ServiceManager:
    """The socket of a service manager, and what it has received.

    Args:
        directory: for the socket.

    """

    def __init__(self, directory):
        self.path = str(directory / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.setblocking(False)
        self.received = []

    def messages(self):
        """Return all messages so far, a dict for each."""
        while True:
            try:
                text = self._socket.recv(65_536).decode()
            except BlockingIOError:
                return self.received
            self.received.append(dict(line.split("=", 1) for line in text.splitlines()))

    def wait_for(self, what, after=0, **assignments):
        """Wait for a message with these assignments after that many others, and return it."""

        def find():
            return next((it for it in self.messages()[after:] if assignments.items() <= it.items()), None)

        return wait_until(find, f"{what}; received: {self.received[-5:]}")

    def wait_for_status(self, *words):
        """Wait until the status text has all these words."""

        def has_them():
            status = next((it["STATUS"] for it in reversed(self.messages()) if "STATUS" in it), "")
            return all(word in status for word in words)

        wait_until(has_them, f"a status with {words}; received: {self.received[-5:]}")

    def reload(self, daemon):
        """Reload a daemon once it is ready; return the status text when it reports the end of the reload."""
        self.wait_for("the end of the start", READY="1")
        before = len(self.messages())
        daemon.process.send_signal(signal.SIGHUP)
        self.wait_for("the start of the reload", before, RELOADING="1")
        return self.wait_for("the end of the reload", before, READY="1")["STATUS"]

    def close(self):
        """Remove the socket."""
        self._socket.close()


async def no_progress(caplog, part):
    """Wait until an error names the part that makes no progress."""
    async with asyncio.timeout(30):
        while not any(record.levelname == "ERROR" and part in record.getMessage() for record in caplog.records):
            await asyncio.sleep(0.01)
