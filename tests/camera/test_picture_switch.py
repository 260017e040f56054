"""Whether pictures may leave the node: nothing that is still being made does, once they may not."""

import pytest

from edgepub.camera.picture_switch import PictureSwitch
from edgepub.mqtt.messages import picture_message
from edgepub.mqtt.outbox.outbox import Outbox
from tests.support.waiting import take

SNAPSHOT, CUTOUT = "edgepub/garage/porch/snapshot", "edgepub/garage/porch/objects/person/snapshot"


@pytest.fixture
def outbox():
    return Outbox(10)


async def sent(outbox):
    message = await take(outbox)
    outbox.done(message)
    return message.topic, message.payload


async def test_off_the_pictures_are_removed_from_the_broker_and_none_follows(outbox):
    switch = PictureSwitch(outbox, lambda: [SNAPSHOT], is_on=True)
    switch.put(picture_message(SNAPSHOT, b"jpeg"))
    switch.set(False)
    switch.put(picture_message(SNAPSHOT, b"was being made"))
    assert await sent(outbox) == (SNAPSHOT, b"")
    assert not any(outbox.figures().sizes.values())
    switch.set(True)
    switch.put(picture_message(CUTOUT, b"jpeg"))
    assert await sent(outbox) == (CUTOUT, b"jpeg")


def test_of_a_camera_that_is_stopped_no_more_pictures_come_and_the_last_ones_stay(outbox):
    switch = PictureSwitch(outbox, lambda: [SNAPSHOT], is_on=True)
    switch.close()
    switch.put(picture_message(SNAPSHOT, b"was being made"))
    assert outbox.take() is None


def test_the_first_picture_of_each_topic_is_said(outbox):
    said = []
    switch = PictureSwitch(outbox, lambda: [SNAPSHOT, CUTOUT], lambda: said.append(1), is_on=True)
    for topic in (SNAPSHOT, CUTOUT, SNAPSHOT):
        switch.put(picture_message(topic, b"jpeg"))
    assert len(said) == 2
    switch.clear(CUTOUT)
    switch.put(picture_message(CUTOUT, b"jpeg"))
    assert len(said) == 3
