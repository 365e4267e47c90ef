"""The posterior mean in PyTorch: by the differences of every pair, in parts of 100 references, or by two matrix products."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import numpy
import safetensors.torch
import torch
from serve import inputs, serve, timed, torch_about

BATCH, DIMS = 128, 3072
given = safetensors.torch.load_file(inputs("stable-target.safetensors"))
t = given["t"]
found = []


def references(count):
    return torch.from_numpy(numpy.resize(given["pattern"].numpy(), (count, DIMS))).float() / 127.5 - 1


def keeping(count, mean):
    """Runs it, and keeps one value of every row."""
    all = references(count)
    x = all[:BATCH] + t[:, None] * given["noise"]
    run = mean(all, x)
    if count == 5000:
        found.extend(run().diagonal().tolist())
    return run


def differences(all, x):
    def run():
        parts = [((x[:, None] - part[None]) ** 2).sum(2) for part in all.split(100)]
        return torch.softmax(-torch.cat(parts, 1) / (2 * t[:, None] ** 2), 1) @ all

    return run


def products(all, x):
    norms = (all**2).sum(1)
    return lambda: torch.softmax((x @ all.T - norms / 2) / t[:, None] ** 2, 1) @ all


counts, mean = ((5_000,), differences) if sys.argv[1] == "differences" else ((5_000, 50_000), products)
serve(
    {f"{count:,} references": timed(lambda count=count: keeping(count, mean)) for count in counts},
    about=torch_about(),
    check=lambda: found,
)
