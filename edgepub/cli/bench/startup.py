"""CPU time of the quick commands as whole processes, compared with an import of the daemon and all it needs."""

import os
import subprocess
import sys
from pathlib import Path
from statistics import median

import yaml
from rich.table import Table

from edgepub.cli.bench.tables import ROUNDS, table

_IMPORT_ALL = (
    "import typer, edgepub.config.effective, edgepub.daemon.run, edgepub.home_assistant.discovery, edgepub.mqtt.store, "
    "edgepub.mqtt.payloads.info; from edgepub.core import system_libraries, versions; system_libraries.check()"
)
"""What the command line used to import before it ran any command."""
_IMPORT = "import of the daemon and all it needs"
_COMMANDS = ("--version", "check", "schema detections", "discovery")


def startup(directory: Path) -> Table:
    """Return the table of start-up times."""
    rows = table("Start-up: CPU time of the whole process, milliseconds", "command", "CPU ms", "ratio to the import")
    (directory / "edgepub.yaml").write_text(yaml.safe_dump(_configuration()))
    commands = {f"edgepub {name}": ["-m", "edgepub", *name.split()] for name in _COMMANDS}
    commands[_IMPORT] = ["-c", _IMPORT_ALL]
    for command in commands.values():
        _cpu_ms(command, directory)  # writes the bytecode
    rounds = [{name: _cpu_ms(command, directory) for name, command in commands.items()} for _ in range(ROUNDS)]
    for name in commands:
        ratio = median(figures[name] / figures[_IMPORT] for figures in rounds)
        rows.add_row(name, f"{median(figures[name] for figures in rounds):.0f}", f"{ratio:.2f}")
    return rows


def _configuration() -> dict[str, object]:
    return {
        "models": {"model": {"model_name": "model", "zoo_url": "zoo/vendor", "inference_host_address": "@local"}},
        "cameras": {"camera": {"source": "rtsp://127.0.0.1/stream", "model": "model"}},
    }


def _cpu_ms(arguments: list[str], directory: Path) -> float:
    """Run Python once and return the CPU time of the process in milliseconds."""
    # Python compiles again at each start when it may not write bytecode: that would be measured instead.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPYCACHEPREFIX": str(directory / "bytecode"), "STATE_DIRECTORY": str(directory / "state")}
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=directory,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, arguments)
    return 1000 * (usage.ru_utime + usage.ru_stime)
