"""Makes test/fixtures/dino.safetensors: features of a small DINOv2 of formula weights, written here in plain PyTorch.

pip install torch numpy pillow safetensors; python scripts/dino_fixture.py
"""

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file

TAG = "dino."
WIDTH, DEPTH, GRID, HEAD = 128, 2, 37, 64


def u(name, n):
    """n values in [-1, 1) that depend on the name alone: tools/testing/src/formula.ts."""
    seed = 0x811C9DC5
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x01000193) & 0xFFFFFFFF
    with np.errstate(over="ignore"):
        x = np.arange(n, dtype=np.uint32) * np.uint32(0x9E3779B1) + np.uint32(seed)
        x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
        x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
        x = x ^ (x >> np.uint32(16))
    return ((x >> np.uint32(8)).astype(np.float64) / 2**23 - 1).astype(np.float32)


def parameter(name, shape):
    x = torch.from_numpy(u(TAG + name, math.prod(shape))).reshape(shape)
    if "norm" in name and name.endswith("weight"):
        return 1 + 0.2 * x
    if name.endswith("gamma"):
        return 0.5 + 0.3 * x
    if name.endswith("bias"):
        return 0.2 * x
    if name in ("cls_token", "pos_embed"):
        return x
    return x * math.sqrt(3 / math.prod(shape[1:]))


def linear(name, x, outputs):
    return F.linear(x, parameter(f"{name}.weight", [outputs, x.shape[-1]]), parameter(f"{name}.bias", [outputs]))


def norm(name, x):
    return F.layer_norm(x, [WIDTH], parameter(f"{name}.weight", [WIDTH]), parameter(f"{name}.bias", [WIDTH]), 1e-6)


def positions(side):
    places = parameter("pos_embed", [1, 1 + GRID * GRID, WIDTH])
    grid = places[:, 1:].reshape(1, GRID, GRID, WIDTH).permute(0, 3, 1, 2)
    scale = (side + 0.1) / GRID
    grid = F.interpolate(grid, scale_factor=(scale, scale), mode="bicubic")
    assert grid.shape[2:] == (side, side)
    return places[:, :1], grid.permute(0, 2, 3, 1).reshape(1, side * side, WIDTH)


def network(x):
    """Class token of images [batch, 3, 224, 224], normalised."""
    filters = parameter("patch_embed.proj.weight", [WIDTH, 3, 14, 14])
    x = F.conv2d(x, filters, parameter("patch_embed.proj.bias", [WIDTH]), stride=14)
    batch, _, side, _ = x.shape
    first, places = positions(side)
    x = x.flatten(2).transpose(1, 2) + places
    x = torch.cat([(parameter("cls_token", [1, 1, WIDTH]) + first).expand(batch, -1, -1), x], 1)
    for i in range(DEPTH):
        block = f"blocks.{i}"
        qkv = linear(f"{block}.attn.qkv", norm(f"{block}.norm1", x), 3 * WIDTH)
        q, k, v = qkv.reshape(batch, -1, 3, WIDTH // HEAD, HEAD).permute(2, 0, 3, 1, 4)
        y = ((q @ k.transpose(-1, -2) / math.sqrt(HEAD)).softmax(-1) @ v).transpose(1, 2).reshape(batch, -1, WIDTH)
        x = x + parameter(f"{block}.ls1.gamma", [WIDTH]) * linear(f"{block}.attn.proj", y, WIDTH)
        y = F.gelu(linear(f"{block}.mlp.fc1", norm(f"{block}.norm2", x), 4 * WIDTH))
        x = x + parameter(f"{block}.ls2.gamma", [WIDTH]) * linear(f"{block}.mlp.fc2", y, WIDTH)
    return norm("norm", x)[:, 0]


def resized(image, size, clean):
    """In [0, 1]: of bytes, or in single precision channel by channel."""
    if not clean:
        return np.asarray(Image.fromarray(image).resize(size, Image.BICUBIC)) / np.float32(255)
    channels = [
        np.asarray(Image.fromarray(image[:, :, c].astype(np.float32)).resize(size, Image.BICUBIC)) for c in range(3)
    ]
    return np.stack(channels, 2).clip(0, 255) / np.float32(255)


def features(images, clean):
    x = torch.from_numpy(np.stack([resized(image, (224, 224), clean) for image in images])).permute(0, 3, 1, 2)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return network((x - mean[:, None, None]) / deviation[:, None, None])


if __name__ == "__main__":
    torch.set_num_threads(1)
    # Noise, so that the filter overshoots black and white.
    images = ((u(TAG + "images", 2 * 20 * 24 * 3) * 1.4).clip(-1, 1) * 127.5 + 127.5).astype(np.uint8)
    images = images.reshape(2, 20, 24, 3)
    tensors = {
        "images": torch.from_numpy(images),
        "bytes": torch.from_numpy(
            np.stack([np.round(resized(image, (17, 31), False) * 255).astype(np.uint8) for image in images])
        ),
        "positions": positions(16)[1][0, ::17].contiguous(),
        "features.legacy": features(images, False).contiguous(),
        "features.clean": features(images, True).contiguous(),
    }
    path = Path(__file__).parent.parent / "test" / "fixtures" / "dino.safetensors"
    save_file(tensors, path, {"tag": TAG, "width": str(WIDTH), "depth": str(DEPTH)})
    print({name: list(tensor.shape) for name, tensor in tensors.items()}, path.stat().st_size, "bytes")
