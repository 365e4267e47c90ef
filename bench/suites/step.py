import pathlib
import sys

here = pathlib.Path(__file__).parent
sys.path[:0] = [str(here.parent), str(here.parents[1] / "packages/torch/bench")]
del sys.path[2]  # This folder, whose step.py is this one.
import step as reference
from serve import serve, timed, torch_about

losses = []


def step():
    losses.append(reference.step())


serve(
    {"bfloat16" if "--bf16" in sys.argv else "float32": timed(lambda: step)},
    about=torch_about(),
    check=lambda: reference.compiled() and losses[:3],
)
