import pathlib
import sys

here = pathlib.Path(__file__).parent
sys.path[:0] = [str(here.parent), str(here.parents[1] / "packages/torch/bench")]
del sys.path[2]  # This folder, whose step.py is this one.
import step as reference
from serve import serve, timed

serve({"a step": timed(lambda: reference.step)})
