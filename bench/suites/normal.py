import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from serve import serve, timed, torch_about

if sys.argv[1] == "torch":
    import torch

    about, draw = torch_about(), lambda: torch.randn(10_000_000)
else:
    import numpy

    generator = numpy.random.default_rng(0)
    about, draw = f"NumPy {numpy.__version__}", lambda: generator.standard_normal(10_000_000, dtype=numpy.float32)
serve({"ten million": timed(lambda: draw)}, about=about)
