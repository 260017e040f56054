"""Who is served over HTTP: polite clients, slow ones, rude ones. Over real sockets."""

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
import pytest
import uvloop

from edgepub.config.settings import HttpSettings
from edgepub.http import connections, pages
from edgepub.http import server as module
from edgepub.http.monitoring import MetricsPage
from edgepub.http.server import HttpServer
from edgepub.telemetry.metrics import CameraMetrics
from tests.support.http_server import OPEN_METRICS, SIZES, Box


@pytest.fixture
async def box():
    its = await Box("porch").start()
    yield its
    await its.stop()


async def test_healthz_and_metrics_are_there_for_any_client(box):
    status, headers, body = await box.ask("/healthz")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert headers["Cache-Control"] == "no-store"
    assert json.loads(body)["ready"] is True
    box.condition.broker.fault = "refused: not authorised"
    status, _, body = await box.ask("/healthz")
    assert (status, json.loads(body)["wrong"]) == (503, ["broker: refused: not authorised"])
    status, headers, body = await box.ask("/metrics")
    assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert "\nedgepub_ready 0.0\n" in body
    status, headers, body = await box.ask("/metrics", headers={"Accept": OPEN_METRICS})
    assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith("# EOF\n")


async def test_head_is_the_same_without_the_body(box):
    for path in ("/healthz", "/metrics"):
        status, headers, body = await box.ask(path, "HEAD")
        assert (status, body) == (200, "")
        assert int(headers["Content-Length"]) > 50


async def test_what_is_not_there_is_said_in_a_line(box):
    status, _, body = await box.ask("/metrics/")
    assert (status, body) == (404, "there is no such page; begin at /\n")
    status, headers, body = await box.ask("/metrics", "POST", data=b"x" * 1000)
    assert (status, body, headers["Allow"]) == (405, "not with this method, but with GET,HEAD\n", "GET,HEAD")


async def test_an_accept_header_that_is_nonsense_gets_the_page_all_the_same(box):
    for accept in ("application/openmetrics-text;version=x", "text/plain;version=a.b", ";;,=,", "é"):
        status, _, body = await box.ask("/metrics", headers={"Accept": accept})
        assert status == 200
        assert "\nedgepub_ready 1.0\n" in body


async def test_no_answer_says_what_it_is_made_with_and_nothing_is_logged(box, caplog):
    caplog.set_level(logging.INFO)
    rude = [
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
    for request in rude:
        answer = await box.say(request)
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
        await box.say(request)
    assert time.monotonic() - began_s < 8, "it waits for no more of them"
    assert caplog.messages == []
    assert (await box.ask())[0] == 200


async def test_a_mistake_of_our_own_is_logged_and_not_shown(monkeypatch, caplog):
    def fails(*_):
        raise RuntimeError("a secret")

    monkeypatch.setattr(pages, "health_answer", fails)
    box = await Box("porch").start()
    status, _, body = await box.ask("/healthz")
    assert (status, body) == (500, "edgepub has made a mistake; its log says more\n")
    assert (await box.ask("/metrics"))[0] == 200
    await box.stop()
    (record,) = caplog.records
    assert record.getMessage() == "http: /healthz: internal error, please report it"
    assert "a secret" in caplog.text


async def test_hundreds_that_say_nothing_keep_nobody_out(box, monkeypatch):
    monkeypatch.setattr(connections, "_LONGEST_S", 3600)
    silent = [await asyncio.open_connection("127.0.0.1", box.port) for _ in range(300)]
    assert (await box.ask())[0] == 200
    ended = [asyncio.create_task(reader.read()) for reader, _ in silent]
    async with asyncio.timeout(30):
        while sum(each.done() for each in ended) < 300 - connections._MOST:
            await asyncio.sleep(0.01)
    assert (await box.ask())[0] == 200
    for task in ended:
        task.cancel()
    await asyncio.gather(*ended, return_exceptions=True)
    for _, writer in silent:
        writer.close()


async def ends(reader):
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(30):
            while await reader.read(65_536):
                pass


async def test_a_client_that_is_too_slow_is_left(box, monkeypatch):
    monkeypatch.setattr(connections, "_LONGEST_S", 0.3)
    for begin in (b"", b"GET /metr", b"GET / HTTP/1.1\r\nHost: a\r\nX: "):
        reader, writer = await asyncio.open_connection("127.0.0.1", box.port)
        writer.write(begin)
        await ends(reader)
        writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", box.port)
    began_s = time.monotonic()
    with contextlib.suppress(ConnectionError):
        while time.monotonic() - began_s < 30:  # a byte now and then, for ever
            writer.write(b"G")
            await writer.drain()
            await asyncio.sleep(0.05)
    assert time.monotonic() - began_s < 20
    writer.close()


def unread(port, request):
    """Return a socket whose client sends a request and has no room for the answer."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    client.connect(("127.0.0.1", port))
    client.send(request)
    return client


async def received(client):
    """Return how many bytes there are for it until its end."""
    number = 0
    with contextlib.suppress(ConnectionError):
        while chunk := await asyncio.to_thread(client.recv, 1 << 20):
            number += len(chunk)
    return number


GET_METRICS = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"


def big(box):
    """Let the page be larger than what the kernel holds for a client that does not read; return how large."""
    for n in range(1800):
        box.cameras[f"camera-{n}"] = CameraMetrics()
    page, _ = MetricsPage("garage", box.condition, box.cameras, lambda: SIZES).encode("")
    return len(page)


async def test_a_client_that_does_not_read_is_left(box, monkeypatch):
    page_bytes = big(box)
    monkeypatch.setattr(connections, "_LONGEST_S", 1.0)
    client = unread(box.port, GET_METRICS * 50)
    await asyncio.sleep(1.5)  # its time is over
    assert (await box.ask())[0] == 200
    client.settimeout(30)
    assert await received(client) < page_bytes, "the rest of its answer is not kept for it"
    client.close()


async def test_more_than_a_request_is_not_listened_to(box, monkeypatch):
    monkeypatch.setattr(connections, "_LARGEST_BYTES", 3000)
    request = b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 2000 + b"\r\n"
    assert (await box.say(request + b"\r\n")).startswith(b"HTTP/1.1 200 OK")
    reader, writer = await asyncio.open_connection("127.0.0.1", box.port)
    writer.write(request + b"Y: " + b"y" * 2000 + b"\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
    writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", box.port)
    with contextlib.suppress(ConnectionError):
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n")
        for _ in range(1000):
            writer.write(b"x" * 65_536)
            await writer.drain()
    await ends(reader)
    writer.close()
    assert (await box.ask())[0] == 200


async def test_it_stops_within_a_second_whoever_is_connected():
    box = await Box("porch").start()
    page_bytes = big(box)
    silent = await asyncio.open_connection("127.0.0.1", box.port)
    partial = await asyncio.open_connection("127.0.0.1", box.port)
    partial[1].write(b"GET / HTTP/1.1\r\nHo")
    keeping = await asyncio.open_connection("127.0.0.1", box.port)
    keeping[1].write(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
    assert b"200 OK" in await keeping[0].readline()
    deaf = unread(box.port, GET_METRICS)
    await asyncio.sleep(0.5)  # until it is in the midst of its answer
    began_s = time.monotonic()
    await box.stop()
    assert time.monotonic() - began_s < 1
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", box.port))
        again.listen()
    for reader, writer in (silent, partial, keeping):
        await ends(reader)
        writer.close()
    deaf.settimeout(30)
    assert await received(deaf) < page_bytes, "nothing is left to be sent"
    deaf.close()


@pytest.mark.parametrize(
    "case",
    [
        test_hundreds_that_say_nothing_keep_nobody_out,
        test_a_client_that_is_too_slow_is_left,
        test_a_client_that_does_not_read_is_left,
        test_more_than_a_request_is_not_listened_to,
        test_it_stops_within_a_second_whoever_is_connected,
        test_no_answer_says_what_it_is_made_with_and_nothing_is_logged,
    ],
)
def test_the_same_in_the_event_loop_of_the_daemon(case, monkeypatch, caplog):
    async def run():
        given = {"box": await Box("porch").start(), "monkeypatch": monkeypatch, "caplog": caplog}
        await case(**{name: given[name] for name in inspect.signature(case).parameters})
        await given["box"].stop()

    uvloop.run(run())


async def test_a_port_that_is_taken_is_said_once_and_had_when_it_is_free(monkeypatch, caplog):
    monkeypatch.setattr(module, "_FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(module, "_LONGEST_PAUSE_S", 0.05)
    caplog.set_level(logging.INFO)
    box = Box("porch")
    tries = []
    draw = module.Backoff.next_s
    monkeypatch.setattr(module.Backoff, "next_s", lambda its: tries.append(1) or draw(its))
    with socket.create_server(("127.0.0.1", box.port)):
        task = asyncio.create_task(box.server.run())
        while len(tries) < 4:
            await asyncio.sleep(0.01)
        assert not task.done()
    while not caplog.messages[-1].startswith("http: http://"):
        await asyncio.sleep(0.01)
    assert (await box.ask())[0] == 200
    assert caplog.messages == [
        f"http: cannot listen on 127.0.0.1:{box.port}: another program has this port; end that one, or change "
        "http.listen; trying again until then",
        f"http: http://127.0.0.1:{box.port}/ is the page; /healthz and /metrics are beside it",
    ]
    box.task = task
    await box.stop()


@pytest.mark.parametrize(
    ("listen", "line"),
    [
        ("192.0.2.7:9090", "this box has no such address"),
        ("[2001:db8::7]:9090", "this box has no such address"),
    ],
)
async def test_an_address_of_another_box_ends_nothing(listen, line, caplog):
    box = Box()
    task = asyncio.create_task(HttpServer(listen, HttpSettings(), None, box.context).run())
    while not caplog.messages:
        await asyncio.sleep(0.01)
    assert f"cannot listen on {listen}: {line}" in caplog.text
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])


async def test_ipv6_is_an_address_like_others():
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        box = Box("porch")
        box.server = HttpServer(f"[::1]:{box.port}", HttpSettings(), None, box.context)
        box.task = asyncio.create_task(box.server.run())
        box.url = f"http://[::1]:{box.port}"
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(aiohttp.ClientConnectorError):
                    assert (await box.ask())[0] == 200
                    break
                await asyncio.sleep(0.01)
        await box.stop()


def test_who_serves_nothing_does_not_load_what_serves():
    script = """
import sys
import edgepub.daemon.run
from edgepub.telemetry.status import Condition
from edgepub.http.context import HttpContext
from edgepub.http.server import HttpServer
from edgepub.config.settings import HttpSettings
HttpServer("127.0.0.1:9090", HttpSettings(), None, HttpContext("garage", Condition([]), {}, {}, dict, None))
print({"aiohttp", "prometheus_client"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
