import pathlib
import sys

here = pathlib.Path(__file__).parent
sys.path[0] = str(here.parent)  # Not this folder: its random.py is this one, and the standard library's is wanted.
from serve import serve, timed

if sys.argv[1] == "torch":
    import torch

    serve({"ten million": timed(lambda: lambda: torch.randn(10_000_000))})
else:
    import numpy

    generator = numpy.random.default_rng(0)
    serve({"ten million": timed(lambda: lambda: generator.standard_normal(10_000_000, dtype=numpy.float32))})
