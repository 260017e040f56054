"""The HTTP server with well-behaved, slow and misbehaving clients, over real sockets."""

import asyncio
import contextlib
import inspect
import json
import logging
import re
import socket
import subprocess
import sys
import time

import aiohttp
import psutil
import pytest
import uvloop

from edgepub.config.settings import HttpSettings
from edgepub.core.backoff import Backoff
from edgepub.http import pages
from edgepub.http.limits import DEFAULT_LIMITS, HttpLimits
from edgepub.http.monitoring import MetricsPage
from edgepub.http.server import HttpServer
from edgepub.telemetry.metrics import CameraMetrics
from tests.support.http_server import FIGURES, OPEN_METRICS, LocalServer, server_starter


@pytest.fixture
async def start_server():
    async with server_starter() as start:
        yield start


@pytest.fixture
async def server(start_server):
    return await start_server()


async def test_healthz_and_metrics_are_there_for_any_client(server):
    status, headers, body = await server.request("/healthz")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert headers["Cache-Control"] == "no-store"
    assert json.loads(body)["ready"] is True
    server.status.broker.problem = "refused: not authorised"
    status, _, body = await server.request("/healthz")
    assert (status, json.loads(body)["wrong"]) == (503, ["broker: refused: not authorised"])
    status, headers, body = await server.request("/metrics")
    assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert "\nedgepub_ready 0.0\n" in body
    status, headers, body = await server.request("/metrics", headers={"Accept": OPEN_METRICS})
    assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith("# EOF\n")


async def test_head_is_the_same_without_the_body(server):
    for path in ("/healthz", "/metrics"):
        status, headers, body = await server.request(path, "HEAD")
        assert (status, body) == (200, "")
        assert int(headers["Content-Length"]) > 50


async def test_what_does_not_exist_gets_one_line(server):
    status, _, body = await server.request("/metrics/")
    assert (status, body) == (404, "no such page; start at /\n")
    status, headers, body = await server.request("/metrics", "POST", data=b"x" * 1000)
    assert (status, body, headers["Allow"]) == (405, "method not allowed; allowed: GET,HEAD\n", "GET,HEAD")


async def test_an_invalid_accept_header_still_gets_the_metrics(server):
    for accept in ("application/openmetrics-text;version=x", "text/plain;version=a.b", ";;,=,", "é"):
        status, _, body = await server.request("/metrics", headers={"Accept": accept})
        assert status == 200
        assert "\nedgepub_ready 1.0\n" in body


async def test_no_response_names_the_software_and_invalid_requests_are_not_logged(server, caplog):
    caplog.set_level(logging.INFO)
    invalid = [
        b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",  # TLS
        b"GET /metrics HTTP/9.9\r\n\r\n",
        b"GET /\xff\xfe%zz HTTP/1.1\r\nHost: a\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n",
    ]
    began_s = time.monotonic()
    for request in invalid:
        answer = await server.send_raw(request)
        answer = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert re.match(rb"HTTP/1\.[01] [2345]\d\d ", answer), (request, answer)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert re.findall(rb"\nServer: (.*)\r", head + b"\r") == [b"edgepub"], answer
        assert b"Python" not in head + body
        assert body.count(b"\n") == 1
    for request in [  # which only the newer versions of aiohttp answer
        b"GET http://[::1 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nmore",
    ]:
        await server.send_raw(request)
    assert time.monotonic() - began_s < 8, "it does not wait for the rest of a request"
    assert caplog.messages == []
    assert (await server.request())[0] == 200


async def test_an_internal_error_is_logged_and_not_shown(monkeypatch, caplog):
    def fails(*_):
        raise RuntimeError("a secret")

    monkeypatch.setattr(pages, "health_response", fails)
    server = await LocalServer("porch").start()
    status, _, body = await server.request("/healthz")
    assert (status, body) == (500, "internal error; edgepub's log has the details\n")
    assert (await server.request("/metrics"))[0] == 200
    await server.stop()
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert "/healthz" in record.getMessage()
    assert "a secret" in caplog.text


async def test_hundreds_of_idle_connections_lock_no_client_out(start_server):
    server = await start_server(limits=HttpLimits(max_connection_s=3600))
    idle = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(300)]
    assert (await server.request())[0] == 200
    ended = [asyncio.create_task(reader.read()) for reader, _ in idle]
    async with asyncio.timeout(30):
        while sum(task.done() for task in ended) < 300 - DEFAULT_LIMITS.max_connections:
            await asyncio.sleep(0.01)
    assert (await server.request())[0] == 200
    for task in ended:
        task.cancel()
    await asyncio.gather(*ended, return_exceptions=True)
    for _, writer in idle:
        writer.close()


async def ends(reader):
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(30):
            while await reader.read(65_536):
                pass


async def test_a_client_that_is_too_slow_is_disconnected(start_server):
    server = await start_server(limits=HttpLimits(max_connection_s=0.3))
    for begin in (b"", b"GET /metr", b"GET / HTTP/1.1\r\nHost: a\r\nX: "):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(begin)
        await ends(reader)
        writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(20):
            while not writer.is_closing():  # one byte now and then, without end
                writer.write(b"G")
                await writer.drain()
                await asyncio.sleep(0.05)
    writer.close()


def unread(port, request):
    """Return a socket that has sent a request and has no room for the response."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    client.connect(("127.0.0.1", port))
    client.send(request)
    return client


def has_connection(client):
    """Return whether the server, in this process, has an open connection with a client socket."""
    ends = [(conn.laddr, conn.raddr) for conn in psutil.Process().net_connections("tcp4")]
    return (client.getpeername(), client.getsockname()) in ends


async def received(client):
    """Return how many bytes a socket receives until it is closed."""
    number = 0
    with contextlib.suppress(ConnectionError):
        while chunk := await asyncio.to_thread(client.recv, 1 << 20):
            number += len(chunk)
    return number


GET_METRICS = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"


def enlarge(server):
    """Make the metrics larger than what the kernel buffers for a client that does not read; return their size."""
    for n in range(1800):
        server.metrics[f"camera-{n}"] = CameraMetrics()
    page, _ = MetricsPage("garage", server.status, server.metrics, lambda: FIGURES).prepare("")()
    return len(page)


@pytest.mark.slow
async def test_a_client_that_does_not_read_is_disconnected(start_server):
    server = await start_server(limits=HttpLimits(max_connection_s=1.0))
    page_bytes = enlarge(server)
    client = unread(server.port, GET_METRICS * 50)
    async with asyncio.timeout(30):
        while not has_connection(client):
            await asyncio.sleep(0.01)
        while has_connection(client):  # until its time is over
            await asyncio.sleep(0.01)
    assert (await server.request())[0] == 200
    client.settimeout(30)
    assert await received(client) < page_bytes, "the rest of its response is discarded"
    client.close()


async def test_a_request_that_is_too_large_is_not_read(start_server):
    server = await start_server(limits=HttpLimits(max_request_bytes=3000))
    request = b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 2000 + b"\r\n"
    assert (await server.send_raw(request + b"\r\n")).startswith(b"HTTP/1.1 200 OK")
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request + b"Y: " + b"y" * 2000 + b"\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
    writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    with contextlib.suppress(ConnectionError):
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n")
        for _ in range(1000):
            writer.write(b"x" * 65_536)
            await writer.drain()
    await ends(reader)
    writer.close()
    assert (await server.request())[0] == 200


@pytest.mark.slow
async def test_it_stops_at_once_with_any_client_connected():
    server = await LocalServer("porch").start()
    page_bytes = enlarge(server)
    idle = await asyncio.open_connection("127.0.0.1", server.port)
    partial = await asyncio.open_connection("127.0.0.1", server.port)
    partial[1].write(b"GET / HTTP/1.1\r\nHo")
    keeping = await asyncio.open_connection("127.0.0.1", server.port)
    keeping[1].write(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
    assert b"200 OK" in await keeping[0].readline()
    unreading = unread(server.port, GET_METRICS)
    unreading.settimeout(30)
    await asyncio.to_thread(unreading.recv, 1, socket.MSG_PEEK)  # the server is in the middle of its response
    began_s = time.monotonic()
    await server.stop()
    assert time.monotonic() - began_s < 5, "aiohttp would wait for a minute"
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", server.port))
        again.listen()
    for reader, writer in (idle, partial, keeping):
        await ends(reader)
        writer.close()
    assert await received(unreading) < page_bytes, "the rest is discarded"
    unreading.close()


@pytest.mark.parametrize(
    "case",
    [
        test_hundreds_of_idle_connections_lock_no_client_out,
        test_a_client_that_is_too_slow_is_disconnected,
        test_a_client_that_does_not_read_is_disconnected,
        test_a_request_that_is_too_large_is_not_read,
        test_it_stops_at_once_with_any_client_connected,
        test_no_response_names_the_software_and_invalid_requests_are_not_logged,
    ],
)
@pytest.mark.slow
def test_the_same_in_the_event_loop_of_the_daemon(case, caplog):
    async def run():
        async with server_starter() as start:
            fixtures = {"server": await start(), "start_server": start, "caplog": caplog}
            await case(**{name: fixtures[name] for name in inspect.signature(case).parameters})

    uvloop.run(run())


async def test_a_port_in_use_is_logged_once_and_retried_until_it_is_free(monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    server = LocalServer("porch", limits=HttpLimits(first_retry_s=0.02, max_retry_s=0.05))
    tries = []
    next_s = Backoff.next_s
    monkeypatch.setattr(Backoff, "next_s", lambda backoff: tries.append(1) or next_s(backoff))
    with socket.create_server(("127.0.0.1", server.port)):
        task = asyncio.create_task(server.http_server.run())
        while len(tries) < 4:
            await asyncio.sleep(0.01)
        assert not task.done()
    while not await server.is_listening():
        await asyncio.sleep(0.01)
    assert (await server.request())[0] == 200
    refused, listening = caplog.records
    assert (refused.levelname, listening.levelname) == ("ERROR", "INFO")
    assert "http.listen" in refused.getMessage()
    assert f"127.0.0.1:{server.port}" in refused.getMessage()
    assert f"http://127.0.0.1:{server.port}/" in listening.getMessage()
    server.task = task
    await server.stop()


@pytest.mark.parametrize("listen", ["192.0.2.7:9464", "[2001:db8::7]:9464"])
async def test_an_address_of_another_computer_stops_nothing(listen, caplog):
    server = LocalServer()
    task = asyncio.create_task(HttpServer(listen, HttpSettings(), None, server.context).run())
    while not caplog.messages:
        await asyncio.sleep(0.01)
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert listen in record.getMessage()
    assert "http.listen" in record.getMessage()
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])


async def test_ipv6_addresses_work():
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        server = LocalServer("porch")
        server.http_server = HttpServer(f"[::1]:{server.port}", HttpSettings(), None, server.context)
        server.task = asyncio.create_task(server.http_server.run())
        server.url = f"http://[::1]:{server.port}"
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(aiohttp.ClientConnectorError):
                    assert (await server.request())[0] == 200
                    break
                await asyncio.sleep(0.01)
        await server.stop()


def test_the_http_libraries_are_imported_only_when_serving():
    script = """
import sys
import edgepub.daemon.run
from edgepub.telemetry.status import Status
from edgepub.http.context import HttpContext
from edgepub.http.server import HttpServer
from edgepub.config.settings import HttpSettings
HttpServer("127.0.0.1:9464", HttpSettings(), None, HttpContext("garage", Status([]), {}, {}, dict, None, None))
print({"aiohttp", "prometheus_client"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
