"""Values that are on the disk exactly when the messages are that were put with them. Pure."""

from collections.abc import Mapping


class SavedValues:
    """The newest value of each name, and which of them are not in the file yet. Not thread-safe."""

    def __init__(self) -> None:
        self._newest: dict[str, bytes] = {}
        self._unwritten: dict[str, bytes | None] = {}
        self._is_file_known = False

    def put(self, values: Mapping[str, bytes | None]) -> None:
        """Replace the values of these names; None removes a name."""
        for name, value in values.items():
            if value is not None:
                self._newest[name] = value
            elif self._newest.pop(name, None) is None:
                continue
            self._unwritten[name] = value

    def find(self, prefix: str) -> dict[str, bytes]:
        """Return the values whose names begin with this."""
        return {name: value for name, value in self._newest.items() if name.startswith(prefix)}

    def set_file(self, found: Mapping[str, bytes]) -> None:
        """Take over what was found in the file, when it is opened for the first time; later the memory is newer."""
        if not self._is_file_known:
            self._is_file_known = True
            self._newest = {**found, **self._newest}

    def replace_file(self) -> None:
        """Note that the file is another one: everything is to be written."""
        self._unwritten.update(self._newest)

    def start_batch(self) -> dict[str, bytes | None]:
        """Return what is to be written."""
        batch, self._unwritten = self._unwritten, {}
        return batch

    def cancel_batch(self, batch: Mapping[str, bytes | None]) -> None:
        """Note that a batch could not be written."""
        self._unwritten = {**batch, **self._unwritten}
