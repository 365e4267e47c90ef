import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import torch
from serve import serve, timed, torch_about


class Images(torch.utils.data.Dataset):
    def __init__(self):
        self.images = torch.randint(0, 256, (50_000, 3, 32, 32), dtype=torch.uint8)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = self.images[index]
        return image.flip(2) if torch.rand(()) < 0.5 else image


def batches():
    workers = int(sys.argv[1])
    loader = torch.utils.data.DataLoader(
        Images(), 128, shuffle=True, num_workers=workers, persistent_workers=workers > 0, drop_last=True
    )
    iterator = iter(())

    def run():
        nonlocal iterator
        images = next(iterator, None)
        if images is None:
            iterator = iter(loader)
            images = next(iterator)
        return images.float() / 127.5 - 1

    return run


serve({"batches": timed(batches)}, about=torch_about(f"{sys.argv[1]} workers"))
