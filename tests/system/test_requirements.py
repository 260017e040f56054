"""pyproject.toml declares exactly what the program imports, and the locked requirements contain it."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.pages import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DEPENDENCIES = [Requirement(line) for line in PROJECT["dependencies"]]
DEMO = [Requirement(line) for line in PROJECT["optional-dependencies"]["demo"]]
ONNX = [Requirement(line) for line in PROJECT["optional-dependencies"]["onnx"]]
TEST = [Requirement(line) for line in PROJECT["optional-dependencies"]["test"] if not line.startswith("edgepub")]
LOCKS = {"systemd": DEPENDENCIES, "docker": DEPENDENCIES, "tests": DEPENDENCIES + DEMO + ONNX + TEST}


def names(requirements):
    return {canonicalize_name(requirement.name) for requirement in requirements}


def imported_modules():
    """Return the top-level modules that edgepub imports."""
    found = set()
    for path in (ROOT / "edgepub").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names - {"edgepub"}


def test_declared_packages_are_the_imported_ones():
    distributions = packages_distributions()
    imported = {canonicalize_name(distributions.get(module, [module])[0]) for module in imported_modules()}
    run = {"pip"}  # the demo runs it
    assert imported | run == names(DEPENDENCIES + DEMO)


def test_new_major_versions_are_excluded():
    without = [
        str(requirement)
        for requirement in DEPENDENCIES
        if not {">=", "<"} <= {part.operator for part in requirement.specifier}
    ]
    assert not without


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_contains_the_declared_packages(name):
    """`.ci/lock` renews it."""
    entries = re.findall(
        r"^([a-z]\S*==\S+(?: ; .*?)?) \\\n((?:    .*\n)+)",
        (ROOT / name / "requirements.txt").read_text(),
        re.MULTILINE,
    )
    pins = {}
    for line, _ in entries:
        pin = Requirement(line)
        pins.setdefault(canonicalize_name(pin.name.replace("-headless", "")), []).extend(pin.specifier)
    wrong = [
        str(requirement)
        for requirement in LOCKS[name]
        if not (versions := pins.get(canonicalize_name(requirement.name)))
        or not all(requirement.specifier.contains(pin.version) for pin in versions)
    ]
    assert not wrong, ".ci/lock"


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_hashes_and_no_address(name):
    lines = (ROOT / name / "requirements.txt").read_text().splitlines()
    packages = [line for line in lines if re.match(r"[a-z]", line)]
    hashes = [line for line in lines if re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?", line)]
    comments = [line for line in lines if line.startswith("#")]
    assert len(packages) + len(hashes) + len(comments) == len(lines)
    assert all(re.fullmatch(r"\S+==\S+(?: ; .+)? \\", line) for line in packages)
    assert "://" not in "".join(lines)
