"""The benchmarks: edgepub beside DeGirum's own streaming loop, in turn, in one run."""

from edgepub.bench.report import report

__all__ = ["report"]
