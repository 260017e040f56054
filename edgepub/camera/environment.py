"""The environment variables of the process that PySDK and OpenCV need."""

from edgepub.camera.inference import environment
from edgepub.camera.sources import limits


def prepare_environment() -> None:
    """Set all of them. Call this before the process has a second thread.

    A new variable moves the environment, which C libraries read without a lock (setenv(3)): the process ends with
    SIGSEGV if another thread looks up a variable at this moment, as it does with a host's name.
    """
    environment.set_variables()
    limits.set_variables()
