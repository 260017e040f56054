"""The benchmarks: edgepub beside DeGirum's own streaming loop, in turn, in one run."""
