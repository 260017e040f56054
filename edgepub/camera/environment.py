"""The environment variables of the process."""

from edgepub.camera.inference.environment import set_pysdk_variables
from edgepub.camera.sources.limits import set_ffmpeg_variables


def prepare_environment() -> None:
    """Set the variables that PySDK and OpenCV need. Call this before the process has a second thread.

    C libraries read the environment without a lock (getenv(3)). If one does so, to look up a host for example, while
    another thread adds a variable, the process ends with SIGSEGV.
    """
    set_pysdk_variables()
    set_ffmpeg_variables()
