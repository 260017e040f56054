"""A server of the pages in this process, and a client of it."""

import asyncio
import contextlib

import aiohttp
from pydantic import SecretStr

from edgepub.camera.viewfinder import Viewfinder
from edgepub.config.areas import Areas
from edgepub.config.camera import CameraSettings
from edgepub.config.settings import HttpSettings
from edgepub.http.context import CameraView, HttpContext
from edgepub.http.server import HttpServer
from edgepub.telemetry.metrics import CameraMetrics
from edgepub.telemetry.status import Condition
from tests.support.waiting import free_port

SIZES = {"announcements": 0, "state": 1, "durable": 40, "pictures": 2, "stream": 3}

OPEN_METRICS = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2"


def ready(*names):
    condition = Condition(names)
    condition.broker.fault, condition.broker.sessions = None, 1
    for camera in condition.cameras.values():
        camera.status, camera.fault = "online", None
    return condition


class Knobs:
    """What can be set of a camera."""

    def __init__(self):
        self.values = {"enabled": True, "min_score": 0.5, "max_fps": None}

    def set(self, name, payload):
        if payload != b"0.25":
            raise ValueError(f"{name} cannot be set to {payload}")
        self.values[name] = 0.25


class Editor:
    """Keeps zones and lines in memory."""

    def __init__(self, views):
        self.views = views
        self.saved = {}

    def has_saved(self, camera):
        return camera in self.saved

    async def save(self, camera, areas):
        view = self.views[camera]
        self.saved[camera] = areas
        if areas is None:
            del self.saved[camera]
        self.views[camera] = view._replace(settings=view.settings.with_areas(areas or Areas()))


class Box:
    """A server in this loop, and a client of it."""

    def __init__(self, *cameras, address="127.0.0.1", token=None, **settings):
        self.condition = ready(*cameras)
        self.cameras = {name: CameraMetrics() for name in cameras}
        self.controls = {name: Knobs() for name in cameras}
        settings_of = CameraSettings(source="cam.mp4", model="m")
        self.views = {name: CameraView(settings_of, Viewfinder(), self.controls[name]) for name in cameras}
        self.port = free_port()
        self.url = f"http://{address}:{self.port}"
        self.editor = Editor(self.views)
        self.context = HttpContext("garage", self.condition, self.cameras, self.views, lambda: SIZES, self.editor)
        token = SecretStr(token) if token else None
        self.server = HttpServer(f"{address}:{self.port}", HttpSettings(**settings), token, self.context)
        self.task = None

    async def start(self):
        self.task = asyncio.create_task(self.server.run())
        async with asyncio.timeout(30):
            while not await self.answers():
                await asyncio.sleep(0.01)
        return self

    async def answers(self):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True

    async def stop(self):
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task

    async def ask(self, path="/healthz", method="GET", **options):
        async with aiohttp.ClientSession() as session, session.request(method, self.url + path, **options) as answer:
            return answer.status, answer.headers, await answer.text()

    async def say(self, request):
        """Return all that is answered to some bytes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            async with asyncio.timeout(30):
                writer.write(request)
                with contextlib.suppress(ConnectionError):
                    return await reader.read()
                return b""
        finally:
            writer.close()
