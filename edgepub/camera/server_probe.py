"""Tells an AI server that is gone from one that is only busy: the busy one still accepts connections."""

import errno
import socket
from urllib.parse import urlsplit

from edgepub.config.settings import AI_SERVER_PORT

_CONNECT_TIMEOUT_S = 3.5  # TCP asks at 0, 1 and 3 s: two lost packets are no reason to give a server up
_UNREACHABLE = {errno.EHOSTUNREACH, errno.ENETUNREACH}


def find_problem(server: str, timeout_s: float = _CONNECT_TIMEOUT_S) -> str | None:
    """Connect to an AI server; return what is wrong, in one line, if its host refuses that or does not answer.

    Other failures, like a name that cannot be resolved now, do not tell whether the server is gone: None.

    Args:
        server: its address, `host` or `host:port`.
        timeout_s: how long to wait for the answer; for a host with several addresses, for that of each.

    """
    try:
        address = urlsplit(f"//{server}")
        socket.create_connection((address.hostname, address.port or AI_SERVER_PORT), timeout_s).close()
    except TimeoutError:
        return f"the AI server {server} does not answer within {timeout_s:.1f} s"
    except OSError as error:
        if isinstance(error, ConnectionRefusedError) or error.errno in _UNREACHABLE:
            return f"the AI server {server} does not answer: {error.strerror}"
    except ValueError:
        pass  # not such an address: PySDK says what is wrong
    return None
