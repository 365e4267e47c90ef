import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from serve import inputs, serve, timed, torch_about

from importlib.metadata import version

import safetensors.torch
import torch
from transformers import Dinov2Config, Dinov2Model

found = []


def renamed(given):
    """The published parameters under the names that transformers' model has for them."""
    names = {
        "cls_token": "embeddings.cls_token",
        "pos_embed": "embeddings.position_embeddings",
        "patch_embed.proj": "embeddings.patch_embeddings.projection",
        "norm": "layernorm",
        "attn.proj": "attention.o_proj",
        "ls1.gamma": "layer_scale1.lambda1",
        "ls2.gamma": "layer_scale2.lambda1",
    }
    state = {}
    for name, value in given.items():
        stem, kind = name, ""
        if name.endswith((".weight", ".bias")):
            stem, kind = name.rsplit(".", 1)
            kind = f".{kind}"
        prefix = ""
        if stem.startswith("blocks."):
            _, block, stem = stem.split(".", 2)
            prefix = f"encoder.layer.{block}."
        if stem == "attn.qkv":
            for part, rows in zip("qkv", value.chunk(3)):
                state[f"{prefix}attention.{part}_proj{kind}"] = rows
        else:
            state[f"{prefix}{names.get(stem, stem)}{kind}"] = value
    return state


def extractor():
    given = safetensors.torch.load_file(inputs("dino.safetensors"))
    images = given.pop("images")
    size = dict(hidden_size=768, num_hidden_layers=12, num_attention_heads=12, image_size=224, patch_size=14)
    network = Dinov2Model(Dinov2Config(**size)).eval()
    missing, unexpected = network.load_state_dict(renamed(given), strict=False)
    assert missing == ["embeddings.mask_token"] and not unexpected, (missing, unexpected)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])

    @torch.no_grad()
    def run():
        pixels = ((images / 255 - mean) / deviation).permute(0, 3, 1, 2)
        features = network(pixels).last_hidden_state[:, 0]
        if not found:
            found.extend(features.flatten()[:64].tolist())

    return run


serve(
    {"features": timed(extractor)},
    about=torch_about(f"transformers {version('transformers')}"),
    check=lambda: found,
)
