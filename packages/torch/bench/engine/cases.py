"""The bench's kernels in PyTorch, of the same names as in cases.ts. Times those whose names come in, a line each.

python cases.py [--channels-last] [--bf16 | --autocast]: inputs in bfloat16, or float32 inputs that autocast converts.
"""
import json
import sys
import time

import torch
import torch.nn.functional as F

layout = torch.channels_last if "--channels-last" in sys.argv else torch.contiguous_format
dtype = torch.bfloat16 if "--bf16" in sys.argv else torch.float32


def normal(*shape):
    x = torch.randn(shape, dtype=dtype)
    return x.to(memory_format=layout) if len(shape) == 4 else x


def images(channels, size):
    return normal(16, channels, size, size)


def matmul(n):
    def prepare():
        a, b = normal(n, n), normal(n, n)
        return lambda: a @ b

    return prepare


def gradients(x, w, dy, mask):
    pad = w.shape[-1] // 2
    if "--autocast" in sys.argv:  # converts what a convolution is given, not what its gradient is
        x, w, dy = (z.bfloat16() for z in (x, w, dy))
    return torch.ops.aten.convolution_backward(dy, x, w, None, [1, 1], [pad, pad], [1, 1], False, [0, 0], 1, mask)


def convolution(kernel, channels, size):
    name = f"convolution {kernel} × {kernel}, {channels} channels at {size} × {size}"

    def inputs():
        return images(channels, size), normal(channels, channels, kernel, kernel), images(channels, size)

    def forward():
        x, w, _ = inputs()
        return lambda: F.conv2d(x, w, padding=kernel // 2)

    def by_input():
        x, w, dy = inputs()
        return lambda: gradients(x, w, dy, [True, False, False])[0]

    def by_filter():
        x, w, dy = inputs()
        return lambda: gradients(x, w, dy, [False, True, False])[1]

    return {f"{name}: forward": forward, f"{name}: by the input": by_input, f"{name}: by the filter": by_filter}


def differentiable(name, function, make, make_gradient):
    def forward():
        x = make()

        def run():
            with torch.no_grad():
                return function(x)

        return run

    def both():
        x, dy = make().requires_grad_(), make_gradient()
        return lambda: torch.autograd.grad(function(x), x, dy)[0]

    return {name: forward, f"{name}: with gradient": both}


def mp_silu(x):
    return F.silu(x) / 0.596


def pixel_norm(x):
    return x / (1e-4 + torch.linalg.vector_norm(x, dim=1, keepdim=True) / x.shape[1] ** 0.5)


def attention(qkv):
    q, k, v = (z.transpose(2, 3) for z in qkv.unbind(3))
    return F.scaled_dot_product_attention(q, k, v).transpose(2, 3)


cases = {
    "matrix product, 512": matmul(512),
    "matrix product, 1024": matmul(1024),
    **convolution(3, 64, 32),
    **convolution(3, 128, 16),
    **convolution(1, 128, 16),
    **differentiable("magnitude-preserving SiLU", mp_silu, lambda: images(64, 32), lambda: images(64, 32)),
    **differentiable("pixel normalisation", pixel_norm, lambda: images(64, 32), lambda: images(64, 32)),
    **differentiable("attention", attention, lambda: normal(16, 2, 64, 3, 256), lambda: normal(16, 2, 64, 256)),
}

prepared = {}
for line in sys.stdin:
    name = line.rstrip("\n")
    if name not in prepared:
        prepared[name] = cases[name]()
        for _ in range(2):
            prepared[name]()
    run, fastest, until = prepared[name], float("inf"), time.perf_counter() + 0.25
    # A cached conversion of an input would not be the work of every call.
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled="--autocast" in sys.argv, cache_enabled=False):
        while time.perf_counter() < until:
            start = time.perf_counter()
            run()
            fastest = min(fastest, time.perf_counter() - start)
    print(json.dumps({"ms": 1e3 * fastest}), flush=True)
