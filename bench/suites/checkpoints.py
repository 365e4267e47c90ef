import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import safetensors.torch
import torch
from serve import serve, timed, torch_about

folder = tempfile.TemporaryDirectory()
tensors = {f"layer{i}.weight": torch.full((1024, 1024), i / 64) for i in range(64)}
files = {"a.pt": torch.save, "a.safetensors": safetensors.torch.save_file}
for name, write in files.items():
    write(tensors, f"{folder.name}/{name}")
del tensors
found = {}


def summed(name, read):
    """Every value of the file is read, from the mapped file too: summed."""

    def run():
        found[name] = sum(tensor.sum() for tensor in read(f"{folder.name}/{name}").values()).item()

    return timed(lambda: run)


def shapes():
    with safetensors.safe_open(f"{folder.name}/a.safetensors", "pt") as file:
        return {name: file.get_slice(name).get_shape() for name in file.keys()}


serve(
    {
        "a PyTorch state dictionary, every value read": summed("a.pt", torch.load),
        "safetensors, every value read": summed("a.safetensors", safetensors.torch.load_file),
        "safetensors, names and shapes": timed(lambda: shapes),
    },
    about=torch_about(f"safetensors {safetensors.__version__}"),
    check=found.values,
)
