"""Values that are on the disk exactly when the messages are that were put with them. Pure."""

from collections.abc import Mapping


class SavedValues:
    """The newest value of each name, and which of them are not in the file yet. Not thread-safe."""

    def __init__(self) -> None:
        self._newest: dict[str, bytes] = {}
        self._unwritten: dict[str, bytes | None] = {}
        self._in_file: set[str] = set()  # or about to be written there
        self._is_file_known = False

    def put(self, values: Mapping[str, bytes | None]) -> None:
        """Replace the values of these names, which are like topics; None removes a name."""
        for name, value in values.items():
            if value is not None:
                self._newest[name] = self._unwritten[name] = value
                continue
            self._newest.pop(name, None)
            self._unwritten.pop(name, None)
            if name in self._in_file:
                self._unwritten[name] = None

    def find(self, prefix: str) -> dict[str, bytes]:
        """Return the values whose names begin with this."""
        return {name: value for name, value in self._newest.items() if name.startswith(prefix)}

    def set_file(self, found: Mapping[str, bytes]) -> set[str]:
        """Take over what was found in the file, when it is opened for the first time; later the memory is newer.

        Returns:
            The names that are new.

        """
        if self._is_file_known:
            return set()
        self._is_file_known = True
        self._in_file = set(found)
        new = found.keys() - self._newest.keys()
        self._newest = {**found, **self._newest}
        return new

    def replace_file(self) -> None:
        """Note that the file is another one: everything is to be written."""
        self._in_file.clear()
        self._unwritten = dict[str, bytes | None](self._newest)

    def start_batch(self) -> dict[str, bytes | None]:
        """Return what is to be written."""
        batch, self._unwritten = self._unwritten, {}
        self._in_file.update(batch)
        return batch

    def finish_batch(self, batch: Mapping[str, bytes | None]) -> None:
        """Note that a batch was written."""
        self._in_file.difference_update(name for name, value in batch.items() if value is None)

    def cancel_batch(self, batch: Mapping[str, bytes | None]) -> None:
        """Note that a batch could not be written."""
        self._unwritten = {**batch, **self._unwritten}
