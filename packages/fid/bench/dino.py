"""Images a second of DINOv2's ViT-B/14 in PyTorch, with whatever weights: transformers' model of the same network.

pip install transformers; python dino.py [threads]
"""

import sys
import time

import torch
from transformers import Dinov2Config, Dinov2Model

threads = int(sys.argv[1]) if len(sys.argv) > 1 else 1
torch.set_num_threads(threads)
size = dict(hidden_size=768, num_hidden_layers=12, num_attention_heads=12, image_size=518, patch_size=14)
network = Dinov2Model(Dinov2Config(**size)).eval()
images = torch.randn(8, 3, 224, 224)
best = least = float("inf")
with torch.no_grad():
    for _ in range(3):
        start, before = time.perf_counter(), time.process_time()
        network(images)
        best = min(best, time.perf_counter() - start)
        least = min(least, time.process_time() - before)
print(f"PyTorch, {threads} thread(s): {8 / best:.2f} images/s, {8 / least:.2f} a second of processor time")
