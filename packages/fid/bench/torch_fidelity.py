"""Images a second of torch-fidelity's Inception-v3, with whatever weights: pip install torch-fidelity; python torch_fidelity.py [threads]"""

import sys
import time
from unittest.mock import MagicMock

# Its data sets and other networks need torchvision, this one does not.
for module in ["torchvision", "torchvision.transforms", "torchvision.transforms.functional", "torchvision.datasets"]:
    sys.modules[module] = MagicMock()
sys.path.pop(0)

import torch
import torch_fidelity.feature_extractor_inceptionv3 as inception

threads = int(sys.argv[1]) if len(sys.argv) > 1 else 1
torch.set_num_threads(threads)
inception.load_state_dict_from_url = lambda *_, **__: None
inception.FeatureExtractorInceptionV3.load_state_dict = lambda *_: None
network = inception.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
images = torch.randint(0, 256, (32, 3, 32, 32), dtype=torch.uint8)
best = float("inf")
with torch.no_grad():
    for _ in range(3):
        start = time.perf_counter()
        network(images)
        best = min(best, time.perf_counter() - start)
print(f"torch-fidelity, {threads} thread(s): {32 / best:.1f} images/s")
