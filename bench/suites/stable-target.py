"""The posterior mean in PyTorch: by the differences of every pair, in parts of 100 references, or by two matrix products."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import torch
from serve import serve, timed

BATCH, DIMS = 128, 3072


def inputs(count):
    references = (torch.randn(count, DIMS) * 40 + 128).clamp(0, 255) / 127.5 - 1
    t = torch.exp(1.5 * torch.randn(BATCH))
    x = references[:BATCH] + t[:, None] * torch.randn(BATCH, DIMS)
    return references, t, x


def differences(count):
    references, t, x = inputs(count)

    def run():
        parts = [((x[:, None] - part[None]) ** 2).sum(2) for part in references.split(100)]
        return torch.softmax(-torch.cat(parts, 1) / (2 * t[:, None] ** 2), 1) @ references

    return run


def products(count):
    references, t, x = inputs(count)
    norms = (references**2).sum(1)

    def run():
        return torch.softmax((x @ references.T - norms / 2) / t[:, None] ** 2, 1) @ references

    return run


if sys.argv[1] == "differences":
    serve({"5,000 references": timed(lambda: differences(5_000))})
else:
    serve({f"{count:,} references": timed(lambda count=count: products(count)) for count in (5_000, 50_000)})
