"""Pages that watch a camera: what they are told, and what they cost. Over real sockets, with frames made here."""

import asyncio
import contextlib
import gc
import json
import socket
import time

import aiohttp
import cv2
import numpy as np
import orjson
import pytest

from edgepub.camera.frames import Frame
from edgepub.http import connections, live, pages, screens
from tests.support.http_server import Box


def detections(x=0.25):
    box = {"label": "face", "score": 0.9, "bbox": (10.0, 10.0, 20.0, 20.0), "bbox_norm": (x, 0.2, 0.5, 0.5)}
    return [{**box, "track_id": 1, "zones": []}]


class Source:
    """Shows a frame after the other to whoever watches a camera."""

    def __init__(self, box, camera="porch", size=(120, 160)):
        self.viewfinder = box.views[camera].viewfinder
        self.size = size
        self.number = 0

    def show(self):
        self.number += 1
        image = np.full((*self.size, 3), self.number % 200, np.uint8)
        self.viewfinder.show(Frame(image, self.number, time.time(), time.monotonic(), 0.0), detections())

    async def run(self, fps=100):
        while True:
            self.show()
            await asyncio.sleep(1 / fps)


class Page:
    """A page that watches a camera."""

    def __init__(self, socket):
        self.socket = socket

    async def ask(self, fps=30):
        """Return the answer, and the picture if there is one."""
        await self.socket.send_str(f"{fps}")
        async with asyncio.timeout(30):
            answer = await self.socket.receive()
            assert answer.type is aiohttp.WSMsgType.TEXT, answer
            news = json.loads(answer.data)  # which takes half a letter, as browsers do
            if "frame" not in news:
                return news, None
            picture = await self.socket.receive()
            return news, cv2.imdecode(np.frombuffer(picture.data, np.uint8), cv2.IMREAD_COLOR)

    async def next_picture(self, fps=30):
        while True:
            news, picture = await self.ask(fps)
            if picture is not None:
                return news["frame"], picture


def deaf_page(box):
    """Return a page that asks for many pictures and reads none."""
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect(("127.0.0.1", box.port))
    head = "GET /cameras/porch/live HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    deaf.send(f"{head}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {'A' * 22}==\r\n\r\n".encode())
    question = b"\x81\x82\x00\x00\x00\x0030"
    deaf.send(question * 20)
    return deaf


def connections_of(box):
    """Return the server's ends of its connections."""
    ends = [each for each in gc.get_objects() if isinstance(each, connections._Connection)]
    mine = [each.transport for each in ends if each.transport]
    return [each for each in mine if each.get_extra_info("sockname")[1] == box.port]


@pytest.fixture
async def box():
    its = await Box("porch", "yard").start()
    yield its
    await its.stop()


@pytest.fixture
async def watching(box):
    """Return a function that opens a page."""
    async with contextlib.AsyncExitStack() as stack:

        async def watch(camera="porch", **options):
            session = await stack.enter_async_context(aiohttp.ClientSession())
            url = f"{box.url}/cameras/{camera}/live"
            return Page(await stack.enter_async_context(session.ws_connect(url, **options)))

        yield watch


@contextlib.asynccontextmanager
async def shown(box, **options):
    task = asyncio.create_task(Source(box, **options).run())
    yield
    task.cancel()
    await asyncio.wait([task])


async def test_a_page_is_told_all_it_needs_and_then_what_is_new(box, watching):
    view = box.views["porch"]
    view.viewfinder.add_event({"event_type": "appeared", "label": "face"})
    page = await watching()
    news, picture = await page.ask()
    assert picture is None
    assert (news["status"], news["fault"]) == ("online", None)
    assert news["settings"] == {"enabled": True, "min_score": 0.5, "max_fps": None}
    about = news["camera"]
    assert (about["name"], about["node"], about["may_edit"]) == ("porch", "garage", False)
    assert "http.allow_edit" in about["why_not"]
    assert news["areas"] == {"zones": {}, "lines": {}, "saved": False}
    assert news["events"] == [{"event_type": "appeared", "label": "face"}]
    async with shown(box):
        frame, picture = await page.next_picture()
        assert (frame["width"], frame["height"]) == (160, 120)
        assert frame["detections"][0]["bbox_norm"] == [0.25, 0.2, 0.5, 0.5]
        assert abs(int(picture.mean()) - frame["number"] % 200) <= 2, "boxes and picture are of one frame"
        later, _ = await page.next_picture()
        assert later["number"] > frame["number"]
    view.viewfinder.add_event({"event_type": "left", "label": "face"})
    box.condition.cameras["porch"].status, box.condition.cameras["porch"].fault = "offline", "source: is gone"
    box.controls["porch"].values["min_score"] = 0.25
    while "events" not in (news := (await page.ask())[0]):
        pass
    assert news["events"] == [{"event_type": "left", "label": "face"}]
    assert (news["status"], news["fault"], news["settings"]["min_score"]) == ("offline", "source: is gone", 0.25)
    assert "camera" not in news
    assert "areas" not in news


async def test_figures_come_about_once_a_second_and_a_picture_not_at_all_unless_it_is_wanted(box, watching):
    box.cameras["porch"].count_dropped("queue_full", 3)
    async with shown(box):
        page = await watching()
        await page.ask(0)
        for _ in range(3):
            news, picture = await page.ask(0)
            assert picture is None
        while "figures" not in news:
            news, _ = await page.ask(0)
    assert news["figures"]["dropped"] == {"queue_full": 3}
    assert news["figures"]["fps_in"] == 0


async def test_many_pages_of_a_camera_cost_one_picture_each_time(box, watching, monkeypatch):
    made = []
    encode = screens.encode_jpeg
    monkeypatch.setattr(screens, "encode_jpeg", lambda *given, **more: made.append(1) or encode(*given, **more))
    async with shown(box):
        one = await watching()
        await one.ask()
        before = len(made)
        for _ in range(10):
            await one.next_picture(10)
        alone = len(made) - before
        many = [one, *[await watching() for _ in range(7)]]
        await asyncio.gather(*[page.ask() for page in many[1:]])
        before = len(made)

        async def watch(page):
            for _ in range(10):
                await page.next_picture(10)

        await asyncio.gather(*map(watch, many))
        together = len(made) - before
    assert alone == 10
    assert together <= 2 * 10, "not one for each of the eight pages"


async def test_who_does_not_watch_costs_no_picture_and_keeps_no_frame(box, watching, monkeypatch):
    made = []
    encode = screens.encode_jpeg
    monkeypatch.setattr(screens, "encode_jpeg", lambda *given, **more: made.append(1) or encode(*given, **more))
    source = Source(box)
    source.show()
    assert box.views["porch"].viewfinder.newest is None
    page = await watching()
    source.show()
    await page.ask(0)
    await page.ask(0)
    assert made == [], "it watches, but wants none: a hidden tab"
    assert box.views["porch"].viewfinder.newest is not None
    await page.socket.close()
    async with asyncio.timeout(30):
        while box.views["porch"].viewfinder.newest is not None:
            await asyncio.sleep(0.01)
    source.show()
    assert box.views["porch"].viewfinder.newest is None


async def test_a_page_that_asks_nothing_gets_nothing_and_is_left(box, watching, monkeypatch):
    monkeypatch.setattr(live, "_SILENT_S", 2.0)
    async with shown(box, size=(720, 1280)):
        good, silent, pinging = await watching(), await watching(), await watching()
        for page in (good, silent, pinging):
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
            for page in (silent, pinging):
                assert (await page.socket.receive()).type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}
            await tasks[0]
        assert not tasks[1].done()
        tasks[1].cancel()
        await asyncio.wait(tasks)


async def test_a_page_that_asks_and_does_not_read_is_left(box, monkeypatch):
    monkeypatch.setattr(live, "_READS_WITHIN_S", 1.0)
    monkeypatch.setattr(live, "_MAX_WIDTH", 4000)
    noise = np.random.default_rng(1).integers(0, 255, (2000, 3000, 3), np.uint8)
    viewfinder = box.views["porch"].viewfinder
    deaf = deaf_page(box)
    number = 0
    async with asyncio.timeout(60):
        while not viewfinder._watchers:
            await asyncio.sleep(0.01)
        while viewfinder._watchers:
            number += 1
            viewfinder.show(Frame(noise, number, 0.0, 0.0, 0.0), [])
            await asyncio.sleep(0.05)
        while connections_of(box):  # nothing is kept for it, neither bytes nor a descriptor
            await asyncio.sleep(0.05)
    assert (await box.ask())[0] == 200
    deaf.close()


async def test_a_page_that_does_not_read_holds_up_no_end(box, monkeypatch):
    monkeypatch.setattr(live, "_MAX_WIDTH", 4000)
    noise = np.random.default_rng(1).integers(0, 255, (2000, 3000, 3), np.uint8)
    viewfinder = box.views["porch"].viewfinder
    deaf = deaf_page(box)
    async with asyncio.timeout(60):
        while not viewfinder._watchers:
            await asyncio.sleep(0.01)
        number = 0
        while not (there := connections_of(box)) or not there[0].get_write_buffer_size():
            number += 1
            viewfinder.show(Frame(noise, number, 0.0, 0.0, 0.0), [])
            await asyncio.sleep(0.05)
    began_s = time.monotonic()
    await box.stop()
    assert time.monotonic() - began_s < 2
    deaf.close()
    await box.start()


async def test_a_mistake_of_ours_is_said_once_and_the_page_is_told(watching, monkeypatch, caplog):
    def fails(*_):
        raise RuntimeError("a secret")

    monkeypatch.setattr(live.Conversation, "_news", fails)
    page = await watching()
    await page.socket.send_str("5")
    goodbye = await page.socket.receive()
    assert (goodbye.data, goodbye.extra) == (1011, "edgepub has made a mistake; its log says more")
    assert caplog.messages == ["http: /cameras/porch/live: internal error, please report it"]


async def test_whatever_a_model_says_the_page_is_told(box, watching):
    page = await watching()
    await page.ask()
    strange = [{**detections()[0], "category_id": np.int64(3), "label": "\ud800 <img>"}]
    image = np.zeros((120, 160, 3), np.uint8)
    box.views["porch"].viewfinder.show(Frame(image, 1, time.time(), 0.0, 0.0), strange)
    frame, _ = await page.next_picture()
    assert frame["detections"][0]["category_id"] in (3, "3")


async def test_a_slow_page_gets_a_picture_whenever_it_asks(box, watching):
    async with shown(box):
        page, waited = await watching(), []
        await page.next_picture(5)
        for _ in range(5):
            await asyncio.sleep(0.25)  # it is late: a fifth of a second is over
            began_s = time.monotonic()
            await page.next_picture(5)
            waited.append(time.monotonic() - began_s)
    assert min(waited) < 0.1, "not at the next fifth, which is 0.15 s away"


async def test_a_camera_that_is_offline_has_no_still_of_old(box, watching, monkeypatch):
    monkeypatch.setattr(pages, "_STILL_WITHIN_S", 0.2)
    page = await watching()
    Source(box).show()
    await page.next_picture()
    assert (await box.ask("/cameras/porch/still", "HEAD"))[0] == 200
    box.views["porch"].viewfinder.reset()  # as the reporter does when the camera is gone
    assert (await box.ask("/cameras/porch/still", "HEAD"))[0] == 503
    _, picture = await page.ask()
    assert picture is None


async def test_only_so_many_may_watch():
    box = await Box("porch", max_viewers=2).start()
    async with aiohttp.ClientSession() as session:
        url = f"{box.url}/cameras/porch/live"
        first, second = await session.ws_connect(url), await session.ws_connect(url)
        await Page(first).ask()
        await Page(second).ask()
        third = await session.ws_connect(url)
        goodbye = await third.receive()
        assert (goodbye.type, goodbye.data) == (aiohttp.WSMsgType.CLOSE, 1013)
        assert "http.max_viewers" in goodbye.extra
        await first.close()
        async with asyncio.timeout(30):
            while True:
                again = await session.ws_connect(url)
                await again.send_str("1")
                if (await again.receive()).type is aiohttp.WSMsgType.TEXT:
                    break
        began_s = time.monotonic()
        await box.stop()
        assert time.monotonic() - began_s < 1
        assert (await second.receive()).data == 1001


@pytest.mark.parametrize("question", ["-1", "31", "x", "", "1.5", "²", "9" * 60, b"5"])
async def test_a_question_that_is_none_ends_the_conversation(box, watching, question):
    page = await watching()
    await (page.socket.send_bytes if isinstance(question, bytes) else page.socket.send_str)(question)
    assert (await page.socket.receive()).data == 1008
    assert (await box.ask())[0] == 200


async def test_a_camera_that_is_gone_says_goodbye_and_one_that_never_was_is_not_found(box, watching):
    page = await watching("yard")
    await page.ask()
    del box.views["yard"]
    await page.socket.send_str("5")
    goodbye = await page.socket.receive()
    assert (goodbye.data, goodbye.extra) == (1008, "this camera is there no more")
    for path in ("/cameras/yard", "/cameras/yard/still", "/cameras/yard/live", "/cameras/..%2f", "/cameras/"):
        status, _, body = await box.ask(path)
        assert (status, body.count("\n")) == (404, 1)


async def test_a_still_has_the_boxes_and_is_made_once_for_many(box, monkeypatch):
    made = []
    encode = screens.encode_jpeg
    monkeypatch.setattr(screens, "encode_jpeg", lambda *given, **more: made.append(given) or encode(*given, **more))
    async with shown(box), aiohttp.ClientSession() as session:

        async def ask():
            async with session.get(f"{box.url}/cameras/porch/still") as answer:
                assert answer.content_type == "image/jpeg"
                return await answer.read()

        pictures = await asyncio.gather(*[ask() for _ in range(8)])
    assert len(made) <= 2
    assert all(given[1] for given in made), "what is drawn"
    assert cv2.imdecode(np.frombuffer(pictures[0], np.uint8), cv2.IMREAD_COLOR).shape == (120, 160, 3)


async def test_a_still_of_a_camera_that_gives_none_says_so(box, monkeypatch):
    monkeypatch.setattr(pages, "_STILL_WITHIN_S", 0.2)
    status, _, body = await box.ask("/cameras/porch/still")
    assert (status, body) == (503, "porch has given no frame in 0.2 s\n")


async def test_the_page_of_all_cameras_is_told_how_they_are(box):
    status, _, body = await box.ask("/cameras")
    told = orjson.loads(body)
    assert (status, told["node"], told["broker"]) == (200, "garage", {"status": "online", "fault": None})
    assert [each["name"] for each in told["cameras"]] == ["porch", "yard"]
    assert told["cameras"][0]["fps_in"] == 0
