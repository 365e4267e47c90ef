import pathlib
import sys

here = pathlib.Path(__file__).parent
sys.path[:0] = [str(here.parent), str(here.parents[1] / "packages/torch/bench")]
del sys.path[2]
import step as reference
import torch
from serve import serve, timed

bf16 = "--bf16" in sys.argv
with torch.no_grad():
    weights = {name: value.detach() for name, value in reference.weights().items()}


def denoise(x, t):
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        return reference.denoise(weights, x, t.expand(16))


def noise(sigma):
    return (torch.randn(16, 3, 32, 32) * sigma).to(memory_format=reference.layout)


@torch.no_grad()
def one_step():
    return denoise(noise(80), torch.tensor(80.0))


@torch.no_grad()
def heun(steps=18, low=0.002, high=80.0, rho=7):
    i = torch.arange(steps)
    t = (high ** (1 / rho) + i / (steps - 1) * (low ** (1 / rho) - high ** (1 / rho))) ** rho
    t = torch.cat([t, t.new_zeros(1)])
    x = noise(high)
    for now, then in zip(t[:-1], t[1:]):
        d = (x - denoise(x, now)) / now
        following = x + (then - now) * d
        if then > 0:
            following = x + (then - now) / 2 * (d + (following - denoise(following, then)) / then)
        x = following
    return x


serve({"one step": timed(lambda: one_step), "18 Heun steps": timed(lambda: heun)})
