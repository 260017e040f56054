"""Pages that watch a camera, without a browser, in a process of their own: what they cost is not the daemon's.

``python -m edgepub.cli.bench.live_pages URL NUMBER FPS`` prints a line for each picture, the page's number and the
frame's, and ends when the connections have ended, with a line for each that says so.
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
        """What they got: which page, and which frame; it may be cleared."""
        self.goodbyes: list[str] = []
        """How the connections ended: `1001`, or what went wrong."""

    def read(self) -> None:
        """Take what they say, until the end."""
        for line in self.process.stdout or ():
            first, second = line.rstrip().split(maxsplit=1)
            if first == "goodbye":
                self.goodbyes.append(second)
            else:
                self.pictures.append((int(first), int(second)))


@contextmanager
def live_pages(url: str, number: int, fps: int) -> Iterator[Pages]:
    """Have so many pages watch for as long as the context lasts.

    Args:
        url: of the camera's page, like `http://127.0.0.1:9090/cameras/porch`.
        number: how many.
        fps: the pictures a second that each of them wants.

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
                        continue  # its picture comes
                else:
                    _say(f"{page} {frame}")
                await socket.send_str(fps)
            _say(f"goodbye {socket.close_code}")
    except (OSError, aiohttp.ClientError) as error:
        _say(f"goodbye {error!r}")


def _say(line: str) -> None:
    print(f"{line}\n", end="", flush=True)  # in one piece, wherever it is killed


async def _main(url: str, number: int, fps: str) -> None:
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        for page in range(number):
            group.create_task(_watch(session, url, page, fps), name=f"page-{page}")


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
