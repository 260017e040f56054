"""What a node concludes from the signs of another one with its name, whatever their order."""

import json

import pytest

from edgepub.mqtt.messages import Received
from edgepub.mqtt.presence import Identified, Inquiry, parse_claim
from edgepub.mqtt.topics import Topics, find_nodes

TOPICS = Topics("edgepub", "garage")
OWN, OTHER = Identified("me", "boot-1"), Identified("other", "boot-2")


def claim(sender, state="starting", to=None):
    return Received(TOPICS.claim, sender.claim(TOPICS.claim, state, to).encoded(), retained=False)


def info(node_id="", boot_id="", *, retained=True):
    content = {"boot_id": boot_id, **({"node_id": node_id} if node_id else {})}
    return Received(TOPICS.info, json.dumps(content).encode(), retained)


def status(text):
    return Received(TOPICS.status, text, retained=True)


def stats(boot_id):
    return Received(TOPICS.stats, json.dumps({"boot_id": boot_id}).encode(), retained=False)


def ask(*messages, is_new=False):
    inquiry = Inquiry(TOPICS, OWN, is_new=is_new)
    for message in messages:
        inquiry.feed(message)
    return inquiry


@pytest.mark.parametrize(
    ("messages", "seconds"),
    [
        ([], 0.5),
        ([status(b"offline")], 0.5),
        ([status(b"offline"), claim(OWN)], 0),
        ([status(b"offline"), info("other", "boot-2"), claim(OWN)], 0),
        ([status(b"online"), info("me", "boot-1"), claim(OWN)], 0),
        ([status(b"online"), info("me", "boot-0"), claim(OWN)], 1),
        ([status(b"online"), info("other", "boot-2"), claim(OWN)], 5),
        ([status(b"online"), info("", "boot-2"), claim(OWN)], 15),
        ([status(b"online"), claim(OWN)], 15),
        ([claim(OWN), status(b"online"), info("other", "boot-2")], 5),
        ([claim(OWN)], 0.5),
    ],
)
def test_how_long_it_waits_for_an_answer(messages, seconds):
    inquiry = ask(*messages)
    assert (inquiry.timeout_s, inquiry.other) == (seconds, None)


def test_a_node_that_has_never_run_hardly_waits():
    assert ask(claim(OWN), is_new=True).timeout_s <= 0.1


@pytest.mark.parametrize(
    ("messages", "other"),
    [
        ([claim(OWN), claim(OTHER, "running", "boot-1")], OTHER),
        ([claim(OTHER, "running")], OTHER),
        ([claim(OTHER, "running", "boot-3")], OTHER),
        ([claim(OTHER), claim(OWN)], OTHER),
        ([claim(OWN), claim(OTHER)], None),
        ([claim(OTHER, "waiting"), claim(OWN)], None),
        ([claim(OTHER, "asking"), claim(OWN)], None),
        ([info("other", "boot-2", retained=False)], OTHER),
        ([info("other", "boot-2", retained=True)], None),
        ([info("me", "boot-1", retained=False)], None),
        ([info("other", "boot-2"), stats("boot-2")], OTHER),
        ([stats("boot-2")], Identified("", "boot-2")),
        ([stats("boot-1")], None),
        ([Received(TOPICS.info, b"", retained=False)], None),
        ([Received(TOPICS.info, b"\xff", retained=False), Received(TOPICS.stats, b"[1]", retained=False)], None),
    ],
)
def test_who_runs(messages, other):
    assert ask(*messages).other == other


@pytest.mark.parametrize("payload", [b"", b"{}", b"null", b"[" * 9000, b"\xff", b'{"state": "running", "node_id": 1}'])
def test_what_is_no_claim_is_ignored(payload):
    message = Received(TOPICS.claim, payload, retained=False)
    assert parse_claim(message) is None
    assert ask(message, claim(OWN)).other is None


def test_a_retained_claim_is_an_old_one():
    assert ask(claim(OTHER, "running")._replace(retained=True), claim(OWN)).other is None


def test_the_nodes_of_topics():
    published = ["site/edgepub/garage/info", "site/edgepub/garage/status", "a/b/porch/events", "a/b/porch/objects/info"]
    published += ["homeassistant/device/edgepub_x/config", "events", "x/events", "a/b/c/info"]
    assert find_nodes(published) == [Topics("a", "b"), Topics("site/edgepub", "garage")]
