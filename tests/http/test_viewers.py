"""Live pages: what they get and what they cost. Over real sockets, with frames made here."""

import asyncio
import contextlib
import gc
import itertools
import json
import socket
import time

import aiohttp
import cv2
import numpy as np
import orjson
import pytest
from aiohttp import web

from edgepub.camera.frames import Frame
from edgepub.camera.viewfinder import Seen
from edgepub.http import pictures
from edgepub.http.limits import HttpLimits
from tests.support.http_server import LocalServer, server_starter

FRAME_NUMBERS = itertools.count(1)


def detections(x=0.25):
    detection = {"label": "face", "score": 0.9, "bbox": (10.0, 10.0, 20.0, 20.0), "bbox_norm": (x, 0.2, 0.5, 0.5)}
    return [{**detection, "track_id": 1, "zones": []}]


class Source:
    """Shows one frame after another to the viewers of a camera."""

    def __init__(self, server, camera="porch", size=(120, 160)):
        self.viewfinder = server.views[camera].viewfinder
        self.size = size
        self.number = 0

    def show(self):
        self.number += 1
        image = np.full((*self.size, 3), self.number % 200, np.uint8)
        self.viewfinder.show(Seen(Frame(image, self.number, time.time(), time.monotonic(), 0.0), detections()))

    async def run(self, fps=100):
        while True:
            self.show()
            await asyncio.sleep(1 / fps)


class Page:
    """A live page of a camera."""

    def __init__(self, socket):
        self.socket = socket

    async def ask(self, fps=30):
        """Request an update. Return it, with its picture if there is one."""
        await self.socket.send_str(f"{fps}")
        async with asyncio.timeout(30):
            message = await self.socket.receive()
            assert message.type is aiohttp.WSMsgType.TEXT, message
            update = json.loads(message.data)  # which accepts lone surrogates, as browsers do
            if "frame" not in update or not update["frame"]["has_picture"]:
                return update, None
            picture = await self.socket.receive()
            return update, cv2.imdecode(np.frombuffer(picture.data, np.uint8), cv2.IMREAD_COLOR)

    async def next_picture(self, fps=30):
        while True:
            update, picture = await self.ask(fps)
            if picture is not None:
                return update["frame"], picture


def unreading_page(server):
    """Return the socket of a page that requests many pictures and reads none."""
    page = socket.socket()
    page.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    page.connect(("127.0.0.1", server.port))
    head = "GET /cameras/porch/live HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    page.send(f"{head}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {'A' * 22}==\r\n\r\n".encode())
    request = b"\x81\x82\x00\x00\x00\x0030"
    page.send(request * 20)
    return page


def is_watched(viewfinder, image):
    """Show an image. Return whether the viewfinder keeps it for a viewer."""
    viewfinder.show(Seen(Frame(image, next(FRAME_NUMBERS), 0.0, 0.0, 0.0), []))
    return viewfinder.newest is not None


def connections_of(server):
    """Return the server's transports of its open connections."""
    handlers = [item for item in gc.get_objects() if isinstance(item, web.RequestHandler)]
    transports = [handler.transport for handler in handlers if handler.transport]
    return [transport for transport in transports if transport.get_extra_info("sockname")[1] == server.port]


@pytest.fixture
async def start_server():
    async with server_starter() as start:
        yield start


@pytest.fixture
async def server(start_server):
    return await start_server("porch", "yard")


@pytest.fixture
async def open_page():
    """Return a function that opens a live page."""
    async with contextlib.AsyncExitStack() as stack:

        async def open_page(server, camera="porch", **options):
            session = await stack.enter_async_context(aiohttp.ClientSession())
            url = f"{server.url}/cameras/{camera}/live"
            return Page(await stack.enter_async_context(session.ws_connect(url, **options)))

        yield open_page


@contextlib.asynccontextmanager
async def shown(server, **options):
    task = asyncio.create_task(Source(server, **options).run())
    yield
    task.cancel()
    await asyncio.wait([task])


async def test_a_page_gets_everything_first_and_then_what_is_new(server, open_page):
    view = server.views["porch"]
    view.viewfinder.add_event({"event_type": "appeared", "label": "face"})
    page = await open_page(server)
    update, picture = await page.ask()
    assert picture is None
    assert (update["status"], update["fault"]) == ("online", None)
    assert update["settings"] == {"enabled": True, "snapshot_enabled": True, "min_score": 0.5, "max_fps": None}
    camera = update["camera"]
    assert (camera["name"], camera["node"], camera["may_edit"]) == ("porch", "garage", False)
    assert "http.allow_edit" in camera["why_not"]
    assert update["areas"] == {"zones": {}, "lines": {}, "ignore": {}, "saved": False}
    assert update["events"] == [{"event_type": "appeared", "label": "face"}]
    async with shown(server):
        frame, picture = await page.next_picture()
        assert (frame["width"], frame["height"]) == (160, 120)
        assert frame["detections"][0]["bbox_norm"] == [0.25, 0.2, 0.5, 0.5]
        assert abs(int(picture.mean()) - frame["number"] % 200) <= 2, "boxes and picture are of one frame"
        later, _ = await page.next_picture()
        assert later["number"] > frame["number"]
    view.viewfinder.add_event({"event_type": "left", "label": "face"})
    server.status.cameras["porch"].status, server.status.cameras["porch"].problem = "offline", "source: is gone"
    server.controls["porch"].values["min_score"] = 0.25
    while "events" not in (update := (await page.ask())[0]):
        pass
    assert update["events"] == [{"event_type": "left", "label": "face"}]
    assert (update["status"], update["fault"], update["settings"]["min_score"]) == ("offline", "source: is gone", 0.25)
    assert "camera" not in update
    assert "areas" not in update


async def test_figures_come_every_second_and_pictures_only_on_request(server, open_page):
    server.metrics["porch"].count_dropped("queue_full", 3)
    async with shown(server):
        page = await open_page(server)
        await page.ask(0)
        for _ in range(3):
            update, picture = await page.ask(0)
            assert picture is None
        while "figures" not in update:
            update, _ = await page.ask(0)
    assert update["figures"]["dropped"] == {"queue_full": 3}
    assert update["figures"]["fps_in"] == 0


async def test_many_pages_of_a_camera_share_each_picture(server, open_page, monkeypatch):
    encoded = []
    encode = pictures.encode_jpeg
    monkeypatch.setattr(pictures, "encode_jpeg", lambda *given, **more: encoded.append(1) or encode(*given, **more))
    async with shown(server):
        one = await open_page(server)
        await one.ask()
        before = len(encoded)
        for _ in range(10):
            await one.next_picture(10)
        alone = len(encoded) - before
        many = [one, *[await open_page(server) for _ in range(7)]]
        await asyncio.gather(*[page.ask() for page in many[1:]])
        before = len(encoded)

        async def watch(page):
            for _ in range(10):
                await page.next_picture(10)

        await asyncio.gather(*map(watch, many))
        together = len(encoded) - before
    assert alone == 10
    assert together <= 2 * 10, "not one for each of the eight pages"


async def test_without_viewers_no_frame_is_kept_and_none_is_encoded(server, open_page, monkeypatch):
    encoded = []
    encode = pictures.encode_jpeg
    monkeypatch.setattr(pictures, "encode_jpeg", lambda *given, **more: encoded.append(1) or encode(*given, **more))
    source = Source(server)
    source.show()
    assert server.views["porch"].viewfinder.newest is None
    page = await open_page(server)
    source.show()
    await page.ask(0)
    await page.ask(0)
    assert encoded == [], "it is open, but requests no pictures: a hidden tab"
    assert server.views["porch"].viewfinder.newest is not None
    await page.socket.close()
    async with asyncio.timeout(30):
        while server.views["porch"].viewfinder.newest is not None:
            await asyncio.sleep(0.01)
    source.show()
    assert server.views["porch"].viewfinder.newest is None


async def test_a_page_that_requests_nothing_is_disconnected(start_server, open_page):
    server = await start_server(limits=HttpLimits(live_request_timeout_s=2.0))
    async with shown(server, size=(720, 1280)):
        good, idle, pinging = await open_page(server), await open_page(server), await open_page(server)
        for page in (good, idle, pinging):
            await page.ask()

        async def ping():
            with contextlib.suppress(ConnectionError):
                while True:
                    await pinging.socket.ping()
                    await asyncio.sleep(0.1)

        async def watch():
            while True:
                await good.next_picture()

        async with asyncio.timeout(30):
            tasks = [asyncio.create_task(ping()), asyncio.create_task(watch())]
            for page in (idle, pinging):
                assert (await page.socket.receive()).type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}
            await tasks[0]
        assert not tasks[1].done()
        tasks[1].cancel()
        await asyncio.wait(tasks)


async def test_a_page_that_requests_and_does_not_read_is_disconnected(start_server):
    server = await start_server(limits=HttpLimits(live_send_timeout_s=1.0, live_max_width=4000))
    noise = np.random.default_rng(1).integers(0, 255, (2000, 3000, 3), np.uint8)
    viewfinder = server.views["porch"].viewfinder
    page = unreading_page(server)
    async with asyncio.timeout(60):
        while not is_watched(viewfinder, noise):
            await asyncio.sleep(0.01)
        while is_watched(viewfinder, noise):
            await asyncio.sleep(0.05)
        while connections_of(server):  # no buffer and no file descriptor is kept for it
            await asyncio.sleep(0.05)
    assert (await server.request())[0] == 200
    page.close()


async def test_a_page_that_does_not_read_does_not_delay_the_stop(start_server):
    server = await start_server(limits=HttpLimits(live_max_width=4000))
    noise = np.random.default_rng(1).integers(0, 255, (2000, 3000, 3), np.uint8)
    viewfinder = server.views["porch"].viewfinder
    page = unreading_page(server)
    async with asyncio.timeout(60):
        while not (transports := connections_of(server)) or not transports[0].get_write_buffer_size():
            is_watched(viewfinder, noise)
            await asyncio.sleep(0.05)
    began_s = time.monotonic()
    await server.stop()
    assert time.monotonic() - began_s < 10
    page.close()
    await server.start()


async def test_an_internal_error_is_logged_and_closes_the_page(server, open_page, monkeypatch, caplog):
    def fails(*_):
        raise RuntimeError("a secret")

    monkeypatch.setattr(server.views["porch"].viewfinder, "events", fails)
    page = await open_page(server)
    await page.socket.send_str("5")
    closed = await page.socket.receive()
    assert (closed.data, closed.extra) == (1011, "internal error; edgepub's log has the details")
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert "/cameras/porch/live" in record.getMessage()


async def test_any_value_in_a_models_results_reaches_the_page(server, open_page):
    page = await open_page(server)
    await page.ask()
    strange = [{**detections()[0], "category_id": np.int64(3), "label": "\ud800 <img>"}]
    image = np.zeros((120, 160, 3), np.uint8)
    server.views["porch"].viewfinder.show(Seen(Frame(image, 1, time.time(), 0.0, 0.0), strange))
    frame, _ = await page.next_picture()
    assert frame["detections"][0]["category_id"] in (3, "3")


async def test_a_slow_page_gets_a_picture_as_soon_as_it_asks(server, open_page):
    async with shown(server):
        page, waited = await open_page(server), []
        await page.next_picture(5)
        for _ in range(5):
            await asyncio.sleep(0.25)  # it is late: a fifth of a second is over
            began_s = time.monotonic()
            await page.next_picture(5)
            waited.append(time.monotonic() - began_s)
    assert min(waited) < 0.1, "not at the next fifth, which is 0.15 s away"


async def test_a_camera_that_is_offline_has_no_old_still(start_server, open_page):
    server = await start_server(limits=HttpLimits(still_timeout_s=0.2))
    page = await open_page(server)
    Source(server).show()
    await page.next_picture()
    assert (await server.request("/cameras/porch/still", "HEAD"))[0] == 200
    server.views["porch"].viewfinder.reset()  # as the reporter does when the camera is gone
    assert (await server.request("/cameras/porch/still", "HEAD"))[0] == 503
    _, picture = await page.ask()
    assert picture is None


async def test_the_number_of_live_pages_is_limited():
    server = await LocalServer("porch", max_viewers=2).start()
    async with aiohttp.ClientSession() as session:
        url = f"{server.url}/cameras/porch/live"
        first, second = await session.ws_connect(url), await session.ws_connect(url)
        await Page(first).ask()
        await Page(second).ask()
        third = await session.ws_connect(url)
        closed = await third.receive()
        assert (closed.type, closed.data) == (aiohttp.WSMsgType.CLOSE, 1013)
        assert "http.max_viewers" in closed.extra
        await first.close()
        async with asyncio.timeout(30):
            while True:
                again = await session.ws_connect(url)
                await again.send_str("1")
                if (await again.receive()).type is aiohttp.WSMsgType.TEXT:
                    break
        began_s = time.monotonic()
        await server.stop()
        assert time.monotonic() - began_s < 5
        assert (await second.receive()).data == 1001


@pytest.mark.parametrize("request_", ["-1", "31", "x", "", "1.5", "²", "9" * 60, b"5"])
async def test_an_invalid_request_closes_the_page(server, open_page, request_):
    page = await open_page(server)
    await (page.socket.send_bytes if isinstance(request_, bytes) else page.socket.send_str)(request_)
    assert (await page.socket.receive()).data == 1008
    assert (await server.request())[0] == 200


async def test_the_page_of_a_removed_camera_closes_and_of_an_unknown_one_is_404(server, open_page):
    page = await open_page(server, "yard")
    await page.ask()
    del server.views["yard"]
    await page.socket.send_str("5")
    closed = await page.socket.receive()
    assert (closed.data, closed.extra) == (1008, "this camera was removed")
    for path in ("/cameras/yard", "/cameras/yard/still", "/cameras/yard/live", "/cameras/..%2f", "/cameras/"):
        status, _, body = await server.request(path)
        assert (status, body.count("\n")) == (404, 1)


async def test_a_still_has_boxes_and_is_encoded_once_for_many(server, monkeypatch):
    encoded = []
    encode = pictures.encode_jpeg
    monkeypatch.setattr(pictures, "encode_jpeg", lambda *given, **more: encoded.append(given) or encode(*given, **more))
    async with shown(server), aiohttp.ClientSession() as session:

        async def ask():
            async with session.get(f"{server.url}/cameras/porch/still") as answer:
                assert answer.content_type == "image/jpeg"
                return await answer.read()

        stills = await asyncio.gather(*[ask() for _ in range(8)])
    assert len(encoded) <= 2
    assert all(given[1] for given in encoded), "what is drawn"
    assert cv2.imdecode(np.frombuffer(stills[0], np.uint8), cv2.IMREAD_COLOR).shape == (120, 160, 3)


async def test_a_still_of_a_camera_without_frames_is_503(start_server):
    server = await start_server(limits=HttpLimits(still_timeout_s=0.2))
    status, _, body = await server.request("/cameras/porch/still")
    assert (status, body) == (503, "no frame from porch within 0.2 s\n")


async def test_the_page_of_all_cameras_gets_their_status(server):
    status, _, body = await server.request("/cameras")
    status_page = orjson.loads(body)
    assert (status, status_page["node"], status_page["broker"]) == (200, "garage", {"status": "online", "fault": None})
    assert [camera["name"] for camera in status_page["cameras"]] == ["porch", "yard"]
    assert status_page["cameras"][0]["fps_in"] == 0
    assert status_page["entities"] == {"total": 28, "enabled": 17}
    server.status.cameras["porch"].problem = "no such file: \udcff"  # a file name may contain any bytes
    status, _, body = await server.request("/cameras")
    assert (status, json.loads(body)["cameras"][0]["fault"]) == (200, "no such file: \udcff")


async def test_without_pictures_a_page_gets_the_boxes_alone(server, open_page):
    view = server.views["porch"]
    page = await open_page(server)
    async with shown(server):
        await page.next_picture()
        view.viewfinder.shows_pixels = False
        update, picture = await page.ask()
        while "frame" not in update or update["frame"]["has_picture"]:
            update, picture = await page.ask()
        assert picture is None
        assert update["frame"]["detections"][0]["bbox_norm"] == [0.25, 0.2, 0.5, 0.5]
        status, _, body = await server.request("/cameras/porch/still")
        assert (status, body) == (403, "pictures of porch are off: its snapshot_enabled is OFF\n")
        cameras = orjson.loads((await server.request("/cameras"))[2])["cameras"]
        assert {camera["name"]: camera["has_pictures"] for camera in cameras} == {"porch": False, "yard": True}
        view.viewfinder.shows_pixels = True
        frame, picture = await page.next_picture()
        assert picture is not None
        assert frame["has_picture"]
