import pathlib
import sys
from unittest.mock import MagicMock

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from serve import serve, timed

# torch-fidelity's data sets and other networks need torchvision, this one does not.
for module in ["torchvision", "torchvision.transforms", "torchvision.transforms.functional", "torchvision.datasets"]:
    sys.modules[module] = MagicMock()

import numpy
import scipy.linalg
import torch
import torch_fidelity.feature_extractor_inceptionv3 as inception


def extractor():
    inception.load_state_dict_from_url = lambda *_, **__: None
    inception.FeatureExtractorInceptionV3.load_state_dict = lambda *_: None
    network = inception.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    images = torch.randint(0, 256, (32, 3, 32, 32), dtype=torch.uint8)

    @torch.no_grad()
    def run():
        return network(images)

    return run


def distance():
    def statistics(seed):
        values = numpy.random.default_rng(seed).standard_normal((3000, 2048))
        for i in range(1, 2048):
            values[:, i] += 0.5 * values[:, i - 1]
        return values.mean(0), numpy.cov(values, rowvar=False)

    (mean_a, a), (mean_b, b) = statistics(1), statistics(2)

    def run():
        root = scipy.linalg.sqrtm(a @ b)
        return ((mean_a - mean_b) ** 2).sum() + numpy.trace(a) + numpy.trace(b) - 2 * numpy.trace(root).real

    return run


serve({"Inception-v3, 32 images": timed(extractor), "Fréchet distance, 2,048 features": timed(distance)})
