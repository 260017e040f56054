"""Which attributes of a camera have topics. A model with several classifiers may name any number of them."""

from collections.abc import Callable, Collection, Iterable

from edgepub.mqtt.retained import MAX_CLASSIFIERS, is_of_classifier
from edgepub.telemetry.logs import CameraLogger


class AttributeTopics:
    """The attributes that have topics: those that the settings name, and for each a bounded number of classifiers.

    Args:
        named: the attributes that the settings name.
        retained: those that have topics from earlier runs.
        log: takes a line when there are more than topics for them.
        on_new: called, in the thread that adds it, after a new one has been published.

    """

    def __init__(
        self,
        named: Collection[str],
        retained: Iterable[str],
        log: CameraLogger,
        on_new: Callable[[], None] = lambda: None,
    ) -> None:
        self._by_name = {name: {other for other in retained if is_of_classifier(other, name)} for name in named}
        self._log = log
        self._on_new = on_new
        self._full: set[str] = set()

    def publish(self, attribute: str, put: Callable[[], None]) -> None:
        """Publish an attribute, unless there is no topic for it.

        Args:
            attribute: the attribute.
            put: puts its message into the outbox.

        """
        if attribute in self._by_name:
            put()
            return
        for name, classifiers in self._by_name.items():
            if is_of_classifier(attribute, name):
                is_new = attribute not in classifiers
                if is_new and len(classifiers) >= MAX_CLASSIFIERS:
                    self._say_full(name)
                    return
                classifiers.add(attribute)
                put()
                if is_new:
                    self._on_new()
                return

    def _say_full(self, name: str) -> None:
        if name not in self._full:
            self._full.add(name)
            self._log.warning(
                "the model of the attribute %s has more than %d classifiers: only the first have topics",
                name,
                MAX_CLASSIFIERS,
            )
