import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from serve import serve, timed

if sys.argv[1] == "torch":
    import torch

    serve({"ten million": timed(lambda: lambda: torch.randn(10_000_000))})
else:
    import numpy

    generator = numpy.random.default_rng(0)
    serve({"ten million": timed(lambda: lambda: generator.standard_normal(10_000_000, dtype=numpy.float32))})
