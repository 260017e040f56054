"""An HTTP server in this process, with a client."""

import asyncio
import contextlib
from pathlib import Path

import aiohttp
from pydantic import SecretStr

from edgepub.camera.viewfinder import Viewfinder
from edgepub.config.effective import EffectiveSettings, InForce
from edgepub.config.settings import HttpSettings, Settings
from edgepub.home_assistant.device import EntityCount
from edgepub.http.context import CameraView, HttpContext
from edgepub.http.limits import DEFAULT_LIMITS
from edgepub.http.server import HttpServer
from edgepub.mqtt.outbox.outbox import OutboxFigures
from edgepub.telemetry.metrics import CameraMetrics
from edgepub.telemetry.status import Status
from tests.support.waiting import free_port

FIGURES = OutboxFigures({"announcements": 0, "state": 1, "durable": 40, "pictures": 2, "stream": 3}, 12, 4)

OPEN_METRICS = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2"


def ready(*names):
    status = Status(names)
    status.broker.problem, status.broker.sessions = None, 1
    for camera in status.cameras.values():
        camera.status, camera.problem = "online", None
    return status


def settings_in_force(cameras, state_dir):
    model = {"model_name": "yolo", "zoo_url": "/zoo", "inference_host_address": "@local"}
    settings = Settings.model_validate(
        {
            "node": "garage",
            "models": {"m": model},
            "cameras": {name: {"source": "cam.mp4", "model": "m"} for name in cameras or ("unused",)},
        }
    )
    return InForce(EffectiveSettings(settings, Path("edgepub.yaml"), {}, state_dir, settings))


class FakeSettings:
    """Runtime settings of a camera."""

    def __init__(self):
        self.values = {"enabled": True, "snapshot_enabled": True, "min_score": 0.5, "max_fps": None}

    def set(self, name, payload):
        if payload != b"0.25":
            raise ValueError(f"{name} cannot be set to {payload}")
        self.values[name] = 0.25


class MemoryAreaStore:
    """Keeps zones and lines in memory."""

    def __init__(self, in_force):
        self.in_force = in_force

    @property
    def saved(self):
        return self.in_force.effective.saved

    async def save(self, camera, areas):
        self.in_force.effective = self.in_force.effective.with_areas(camera, areas)


class LocalServer:
    """A server in this event loop, with a client."""

    def __init__(
        self, *cameras, address="127.0.0.1", token=None, limits=DEFAULT_LIMITS, state_dir=Path("/dev/null"), **settings
    ):
        self.status = ready(*cameras)
        self.metrics = {name: CameraMetrics() for name in cameras}
        self.controls = {name: FakeSettings() for name in cameras}
        self.views = {name: CameraView(Viewfinder(), self.controls[name]) for name in cameras}
        self.port = free_port()
        self.url = f"http://{address}:{self.port}"
        in_force = settings_in_force(cameras, state_dir)
        self.area_store = MemoryAreaStore(in_force)
        self.entities = EntityCount(28, 17)
        self.context = HttpContext(
            in_force,
            self.status,
            self.metrics,
            self.views,
            lambda: FIGURES,
            self.area_store,
            lambda: self.entities,
        )
        token = SecretStr(token) if token else None
        listen = f"{address}:{self.port}"
        self.http_server = HttpServer(listen, HttpSettings(**settings), token, self.context, limits)
        self.task = None

    async def start(self):
        self.task = asyncio.create_task(self.http_server.run())
        async with asyncio.timeout(30):
            while not await self.is_listening():
                await asyncio.sleep(0.01)
        return self

    async def is_listening(self):
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

    async def request(self, path="/healthz", method="GET", **options):
        """Return the status, the headers and the text of a response."""
        async with aiohttp.ClientSession() as session, session.request(method, self.url + path, **options) as response:
            return response.status, response.headers, await response.text()

    async def send_raw(self, request):
        """Send bytes. Return everything that the server responds until it closes the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            async with asyncio.timeout(30):
                writer.write(request)
                with contextlib.suppress(ConnectionError):
                    return await reader.read()
                return b""
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def server_starter():
    """Return a function that starts a server for a camera. All servers stop at the end."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(*cameras, **options):
            server = await LocalServer(*(cameras or ("porch",)), **options).start()
            stack.push_async_callback(server.stop)
            return server

        yield start
