import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import safetensors.torch
import torch
from serve import serve, timed

folder = tempfile.TemporaryDirectory()
tensors = {f"layer{i}.weight": torch.full((1024, 1024), float(i)) for i in range(64)}


def opening(name, write, read):
    def prepare():
        path = f"{folder.name}/{name}"
        write(tensors, path)
        return lambda: read(path)

    return timed(prepare)


serve(
    {
        "PyTorch state dictionary": opening("a.pt", torch.save, torch.load),
        "safetensors": opening("a.safetensors", safetensors.torch.save_file, safetensors.torch.load_file),
    }
)
