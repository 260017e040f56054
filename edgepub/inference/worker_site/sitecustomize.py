"""Runs first in every Python that PySDK starts: its postprocessor worker is to listen on loopback alone.

PySDK 1.5 has it bind ``tcp://*:6120`` and up, and connects to it at ``localhost``. No other process is touched.
"""

import sys

if any(argument.endswith("pproc_worker.py") for argument in sys.orig_argv):
    import zmq

    class _AtHome(zmq.Socket):  # type: ignore[type-arg]
        def bind(self, addr: str) -> object:
            return super().bind(addr.replace("tcp://*:", "tcp://127.0.0.1:"))

    zmq.Context._socket_class = _AtHome  # noqa: SLF001
