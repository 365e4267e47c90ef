import pathlib
import sys

here = pathlib.Path(__file__).parent
sys.path[:0] = [str(here.parent), str(here.parents[1] / "packages/torch/bench")]
del sys.path[2]
import step as reference
import torch
from serve import serve, timed, torch_about

bf16 = "--bf16" in sys.argv
precision = "bfloat16" if bf16 else "float32"
with torch.no_grad():
    weights = {name: value.detach() for name, value in reference.weights().items()}
start = reference.given["sampling"].to(memory_format=reference.layout)
found = []


def denoise(x, t):
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        return reference.denoise(weights, x, t.expand(16))


def drawn(sample):
    first = True

    @torch.no_grad()
    def run():
        nonlocal first
        images = sample()
        if first:
            found.extend(images.permute(0, 2, 3, 1).flatten()[:16].tolist())
        first = False

    return lambda: run


def one_step():
    return denoise(start * 80, torch.tensor(80.0))


def heun(steps=18, low=0.002, high=80.0, rho=7):
    i = torch.arange(steps)
    t = (high ** (1 / rho) + i / (steps - 1) * (low ** (1 / rho) - high ** (1 / rho))) ** rho
    t = torch.cat([t, t.new_zeros(1)])
    x = start * high
    for now, then in zip(t[:-1], t[1:]):
        d = (x - denoise(x, now)) / now
        following = x + (then - now) * d
        if then > 0:
            following = x + (then - now) / 2 * (d + (following - denoise(following, then)) / then)
        x = following
    return x


serve(
    {
        f"one step, {precision}": timed(drawn(one_step)),
        f"18 Heun steps, {precision}": timed(drawn(heun), warm=True),
    },
    about=torch_about(),
    check=lambda: reference.compiled() and found,
)
