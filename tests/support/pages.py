"""The documentation's pages: their blocks of code, headings and links."""

import re
import shlex
import textwrap
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_INLINE = re.compile(r"`([^`\n]+)`")
_BEFORE_A_COMMAND = re.compile(r"sudo|env|\w+=.*")


class Block(NamedTuple):
    """A fenced block of code."""

    page: str
    line: int
    language: str
    text: str
    heading: str
    """The heading above it; empty: none."""

    def __str__(self):
        return f"{self.page}:{self.line}"


def blocks(*languages):
    """Return all blocks in these languages."""
    found = []
    for page in PAGES:
        text = page.read_text()
        for match in _BLOCK.finditer(text):
            if match[2] in languages:
                before = text[: match.start()]
                heading = (_HEADING.findall(_BLOCK.sub("", before)) or [""])[-1]
                line = before.count("\n") + 1
                found.append(Block(_name(page), line, match[2], textwrap.dedent(match[3]), heading))
    return found


def links():
    """Return each link to another place of this repository: its page, the file, and the anchor or nothing."""
    found = []
    for page in PAGES:
        for target in _LINK.findall(_prose(page)):
            if "://" not in target:
                path, _, anchor = target.partition("#")
                found.append((_name(page), (page.parent / path).resolve() if path else page, anchor))
    return found


def anchors(page):
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = _HEADING.findall(_BLOCK.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands():
    """Return the arguments of each `edgepub` command line, with its place."""
    found = [(_name(page), words[1:]) for page in PAGES for words in _inline(page) if Path(words[0]).name == "edgepub"]
    for block in blocks("sh"):
        for line in block.text.replace("\\\n", " ").splitlines():
            for words in _simple_commands(line):
                while words and _BEFORE_A_COMMAND.fullmatch(words[0]):
                    del words[0]
                if words and Path(words[0]).name == "edgepub":
                    found.append((str(block), words[1:]))
    return found


def named(pattern):
    """Return all matches of a pattern on all pages, with the page."""
    return sorted({(_name(page), match) for page in PAGES for match in re.findall(pattern, page.read_text())})


def _name(page):
    return str(page.relative_to(ROOT))


def _prose(page):
    return _BLOCK.sub("", page.read_text())


def _inline(page):
    codes = [code for code in _INLINE.findall(_prose(page)) if re.match(r"(\S*/)?edgepub ", code) and "..." not in code]
    return [shlex.split(code) for code in codes]


def _simple_commands(line):
    """Yield the words of each command in a line of shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = []
    for word in lexer:
        if set(word) <= set("&;|<>()"):
            yield words
            words = []
        else:
            words.append(word)
    yield words
