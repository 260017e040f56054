"""Pages that watch a camera, without a browser, in a separate process: their cost is not counted as the daemon's.

``python -m edgepub.cli.bench.live_pages URL NUMBER FPS`` prints a line per picture: page number and frame number. It
ends when all connections have ended, and prints a line for each of them.
"""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
import orjson


class Pages:
    """Pages that watch a camera."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.pictures: list[tuple[int, int]] = []
        """Received pictures, as page number and frame number. May be cleared."""
        self.close_reasons: list[str] = []
        """How the connections ended: a close code like `1001`, or an error."""

    def read(self) -> None:
        """Read the output of the process until it ends."""
        for line in self.process.stdout or ():
            first, second = line.rstrip().split(maxsplit=1)
            if first == "closed":
                self.close_reasons.append(second)
            else:
                self.pictures.append((int(first), int(second)))


@contextmanager
def live_pages(url: str, number: int, fps: int) -> Iterator[Pages]:
    """Run pages that watch a camera while the context is active.

    Args:
        url: the camera's page, like `http://127.0.0.1:9464/cameras/porch`.
        number: the number of pages.
        fps: the pictures per second that each page requests.

    """
    command = [sys.executable, "-m", "edgepub.cli.bench.live_pages", url, str(number), str(fps)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        pages = Pages(process)
        reader = threading.Thread(target=pages.read, name="live-pages")
        reader.start()
        try:
            yield pages
        finally:
            process.kill()
            reader.join()


async def _watch(session: aiohttp.ClientSession, url: str, page: int, fps: str) -> None:
    frame = 0
    try:
        async with session.ws_connect(f"{url}/live") as socket:
            await socket.send_str(fps)
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    shown = orjson.loads(message.data).get("frame")
                    if shown:
                        frame = shown["number"]
                        continue  # its picture follows
                else:
                    _print_line(f"{page} {frame}")
                await socket.send_str(fps)
            _print_line(f"closed {socket.close_code}")
    except (OSError, aiohttp.ClientError) as error:
        _print_line(f"closed {error!r}")


def _print_line(line: str) -> None:
    print(f"{line}\n", end="", flush=True)  # in one write, so that no line is cut when the process is killed


async def _main(url: str, number: int, fps: str) -> None:
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        for page in range(number):
            group.create_task(_watch(session, url, page, fps), name=f"page-{page}")


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
