"""The bench's training step written plainly in PyTorch: the same network, work and order as step.ts.

python step.py [batch] [--channels-last] [--bf16] [--compile]

Parameters, images and noise are those of step.ts where BENCH_INPUTS names the folder of a file step.safetensors that has them.
"""
import json
import math
import os
import resource
import sys
import time

import torch
import torch.nn.functional as F

flags = set(sys.argv[1:])
numbers = [int(a) for a in sys.argv[1:] if a.isdigit()]
batch = numbers[0] if numbers else 16
layout = torch.channels_last if "--channels-last" in flags else torch.contiguous_format
RES, CH, SIGMA = 32, 64, 0.5
CHANNELS = [64, 128]
EMB = 128
torch.manual_seed(0)


def unit(w):
    n = w[0].numel()
    norm = w.flatten(1).norm(dim=1).reshape(-1, *[1] * (w.ndim - 1))
    return w / (1e-4 + norm / math.sqrt(n))


def prepared(w, gain=1.0):
    return unit(w) * (gain / math.sqrt(w[0].numel()))


def mp_silu(x):
    return F.silu(x) / 0.596


def mp_sum(a, b, t):
    return torch.lerp(a, b, t) / math.hypot(1 - t, t)


def mp_cat(a, b, t=0.5):
    na, nb = a.shape[1], b.shape[1]
    c = math.sqrt((na + nb) / ((1 - t) ** 2 + t**2))
    return torch.cat([a * (c / math.sqrt(na) * (1 - t)), b * (c / math.sqrt(nb) * t)], dim=1)


def pixel_norm(x, dim=1):
    norm = torch.linalg.vector_norm(x, dim=dim, keepdim=True)
    return x / (1e-4 + norm / math.sqrt(x.shape[dim]))


# name, encoder or decoder, resolution, resampling, channels in, channels out, attention, skip
blocks = []
params = {}
gains = {}


def weight(name, *shape):
    params[name] = torch.randn(shape).requires_grad_()


def gain(name, of):
    params[name] = torch.tensor(1.0, requires_grad=True)
    gains[of] = name


def add(name, enc, resample, cin, cout, attention, skip):
    name = f"unet.{name}"
    blocks.append((name, enc, resample, cin, cout, attention, skip))
    weight(f"{name}.conv_res0.weight", cout, cout if enc else cin, 3, 3)
    weight(f"{name}.emb_linear.weight", cout, EMB)
    gain(f"{name}.emb_gain", f"{name}.emb_linear.weight")
    weight(f"{name}.conv_res1.weight", cout, cout, 3, 3)
    if cin != cout:
        weight(f"{name}.conv_skip.weight", cout, cin, 1, 1)
    if attention:
        weight(f"{name}.attn_qkv.weight", 3 * cout, cout, 1, 1)
        weight(f"{name}.attn_proj.weight", cout, cout, 1, 1)


# Names are those of EDM2's checkpoints.
FIRST, EMB_NOISE, OUT = "unet.enc.32x32_conv.weight", "unet.emb_noise.weight", "unet.out_conv.weight"
weight(FIRST, CHANNELS[0], 4, 3, 3)
weight(EMB_NOISE, EMB, CH)
freqs, phases = 2 * math.pi * torch.randn(CH), 2 * math.pi * torch.rand(CH)
cout, skips = CHANNELS[0], [CHANNELS[0]]
for level, channels in enumerate(CHANNELS):
    size = RES >> level
    if level > 0:
        add(f"enc.{size}x{size}_down", True, "down", cout, cout, False, False)
        skips.append(cout)
    for i in range(2):
        add(f"enc.{size}x{size}_block{i}", True, "keep", cout, channels, level == 1, False)
        cout = channels
        skips.append(cout)
for level in (1, 0):
    size = RES >> level
    if level == 1:
        add("dec.16x16_in0", False, "keep", cout, cout, True, False)
        add("dec.16x16_in1", False, "keep", cout, cout, False, False)
    else:
        add("dec.32x32_up", False, "up", cout, cout, False, False)
    for i in range(3):
        add(f"dec.{size}x{size}_block{i}", False, "keep", cout + skips.pop(), CHANNELS[level], level == 1, True)
        cout = CHANNELS[level]
weight(OUT, 3, cout, 3, 3)
gain("unet.out_gain", OUT)
given = {}
if folder := os.environ.get("BENCH_INPUTS"):
    import safetensors.torch

    given = safetensors.torch.load_file(os.path.join(folder, "step.safetensors"))
    params = {name: given[name].clone().requires_grad_() for name in params}
    freqs, phases = given["unet.emb_fourier.freqs"], given["unet.emb_fourier.phases"]


def conv(x, w):
    return F.conv2d(x, w, padding=w.shape[-1] // 2)


def block(w, spec, x, emb):
    name, enc, resample, cin, cout, attention, _ = spec
    if resample == "down":
        x = F.avg_pool2d(x, 2)
    if resample == "up":
        x = F.interpolate(x, scale_factor=2, mode="nearest")
    if enc:
        if cin != cout:
            x = conv(x, w[f"{name}.conv_skip.weight"])
        x = pixel_norm(x)
    y = conv(mp_silu(x), w[f"{name}.conv_res0.weight"])
    scale = emb @ w[f"{name}.emb_linear.weight"].t() + 1
    y = mp_silu(y * scale[:, :, None, None].to(y.dtype))
    y = conv(y, w[f"{name}.conv_res1.weight"])
    if not enc and cin != cout:
        x = conv(x, w[f"{name}.conv_skip.weight"])
    x = mp_sum(x, y, 0.3)
    if attention:
        b, c, h, wd = x.shape
        qkv = conv(x, w[f"{name}.attn_qkv.weight"]).reshape(b, c // 64, 64, 3, h * wd)
        q, k, v = pixel_norm(qkv, 2).unbind(3)
        q, k, v = (z.transpose(2, 3) for z in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v).transpose(2, 3).reshape(b, c, h, wd)
        x = mp_sum(x, conv(y, w[f"{name}.attn_proj.weight"]), 0.3)
    return x.clip(-256, 256)


def denoise(w, x, t):
    t4 = t.reshape(-1, 1, 1, 1)
    var = t4**2 + SIGMA**2
    emb = torch.cos(torch.log(t)[:, None] / 4 * freqs + phases) * math.sqrt(2)
    emb = mp_silu(emb @ w[EMB_NOISE].t())
    y = torch.cat([x * var.rsqrt(), torch.ones_like(x[:, :1])], dim=1)
    y = conv(y, w[FIRST])
    skips = [y]
    for spec in blocks:
        if spec[6]:
            y = mp_cat(y, skips.pop())
        y = block(w, spec, y, emb)
        if spec[1]:
            skips.append(y)
    y = conv(y, w[OUT])
    return x * (SIGMA**2 / var) + y.float() * (t4 * SIGMA * var.rsqrt())


if "--compile" in flags:
    denoise = torch.compile(denoise, dynamic=False)
    # Rather an error than eager execution that calls itself compiled.
    torch._dynamo.config.fail_on_recompile_limit_hit = True


def compiled():
    """True; an error where `--compile` was asked for and what ran was not whole graphs of compiled kernels."""
    if "--compile" in flags:
        from torch._dynamo.utils import counters
        from torch._inductor import metrics

        graphs, breaks = counters["stats"]["unique_graphs"], sum(counters["graph_break"].values())
        if not graphs or breaks or not (metrics.generated_kernel_count or counters["inductor"]["fxgraph_cache_hit"]):
            raise RuntimeError(f"compiled {graphs} graphs with {breaks} breaks and {metrics.generated_kernel_count} kernels")
    return True


matrices = [n for n, p in params.items() if p.ndim > 0]


def weights():
    w = {}
    for n in matrices:
        g = params[gains[n]] if n in gains else 1.0
        w[n] = prepared(params[n], g)
        if w[n].ndim == 4:
            w[n] = w[n].to(memory_format=layout)
    return w


x = given.get("x", torch.randn(batch, 3, RES, RES)).to(memory_format=layout)
noise = given.get("noise", torch.randn(batch, 3, RES, RES)).to(memory_format=layout)
t = torch.linspace(0.5, 5, batch)
r = t / 2
xt, xr = x + noise * t[:, None, None, None], x + noise * r[:, None, None, None]
optimizer = torch.optim.Adam(params.values(), lr=1e-3, betas=(0.9, 0.99))
ema = {n: p.detach().clone() for n, p in params.items()}


def step():
    with torch.no_grad():
        for n in matrices:
            params[n].copy_(unit(params[n]))
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled="--bf16" in flags):
        w = weights()
        with torch.no_grad():
            target = denoise({n: v.detach() for n, v in w.items()}, xr, r)
        loss = F.mse_loss(denoise(w, xt, t), target)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        for n, p in params.items():
            ema[n].lerp_(p, 0.001)
    return loss.item()


if __name__ == "__main__":
    for _ in range(5):
        step()
    times = []
    for _ in range(6):
        start = time.perf_counter()
        loss = step()
        times.append((time.perf_counter() - start) * 1e3)
    times.sort()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"ms": round(times[3]), "min": round(times[0]), "max": round(times[-1]), "peak": peak, "loss": loss, "version": torch.__version__}))
