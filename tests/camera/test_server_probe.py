"""Which AI servers count as gone."""

import contextlib
import socket

import psutil
import pytest

from edgepub.camera.server_probe import find_problem


@pytest.fixture
def listener():
    """A server that accepts nothing, like one that is busy; there is room for one connection."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        yield server


def address(server):
    return f"127.0.0.1:{server.getsockname()[1]}"


def test_a_busy_server_is_not_gone(listener):
    assert find_problem(address(listener)) is None


def test_a_server_that_has_ended_is_gone():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        server = address(closed)
        assert find_problem(server) == f"the AI server {server} does not answer: Connection refused"


def test_a_host_that_drops_packets_is_gone(listener):
    with contextlib.ExitStack() as stack:
        for _ in range(3):  # no room for more: Linux drops the packets of the next ones
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        server = address(listener)
        assert find_problem(server, timeout_s=0.2) == f"the AI server {server} does not answer within 0.2 s"
        before = psutil.Process().num_fds()
        find_problem(server, timeout_s=0.2)
        assert psutil.Process().num_fds() == before, "no socket is left"


@pytest.mark.parametrize("server", ["no-such-host.invalid", "127.0.0.1:port", "127.0.0.1:99999", "[", "a" * 70])
def test_an_address_that_cannot_be_tried_tells_nothing(server):
    assert find_problem(server) is None
