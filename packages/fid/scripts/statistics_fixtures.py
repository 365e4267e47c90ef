"""Makes test/fixtures/statistics.json: small statistics in files that other tools wrote, by their own functions where these can be called.

pip install torch-fidelity pytorch-fid clean-fid; python scripts/statistics_fixtures.py
"""

import base64
import json
import os
import pickle
import sys
import tempfile
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np

# What the tools compute features with is not needed here.
for module in ["torchvision", "torchvision.transforms", "torchvision.transforms.functional", "torchvision.datasets"]:
    try:
        __import__(module)
    except ImportError:
        sys.modules[module] = MagicMock()

import cleanfid.fid
import pytorch_fid.fid_score
import torch
from torch_fidelity.utils_torch import torch_atomic_save
from torch_fidelity.metric_fid import fid_features_to_statistics

features = np.array([[0.5, 1, -2], [1.5, 0.25, 3], [-1, 2, 1], [0, -0.5, 0.125]])
mean, covariance = features.mean(0), np.cov(features, rowvar=False)
other = features * 2 + 1
folder = Path(tempfile.mkdtemp())
# As some files have them, and row by row beside column by column.
covariance_by_columns = np.asfortranarray(covariance)


def pytorch_fid_stats():
    pytorch_fid.fid_score.InceptionV3 = MagicMock()
    pytorch_fid.fid_score.compute_statistics_of_path = lambda *_: (mean, covariance)
    path = folder / "pytorch-fid.npz"
    pytorch_fid.fid_score.save_fid_stats([str(folder), str(path)], 1, "cpu", 2048)
    return path


def clean_fid_stats():
    cleanfid.fid.build_feature_extractor = MagicMock()
    cleanfid.fid.get_folder_features = lambda *_, **__: features
    cleanfid.fid.make_custom_stats("cm-fixture", "none", device="cpu", verbose=False)
    written = Path(os.path.dirname(cleanfid.fid.__file__)) / "stats"
    (written / "cm-fixture_clean_custom_na_kid.npz").unlink()
    return (written / "cm-fixture_clean_custom_na.npz").rename(folder / "clean-fid.npz")


def torch_fidelity_stats():
    path = folder / "torch-fidelity.pt"
    torch_atomic_save(fid_features_to_statistics(torch.from_numpy(features)), str(path))
    return path


def edm_stats():
    """fid.py: np.savez(dest, mu=, sigma=)."""
    path = folder / "edm.npz"
    np.savez(path, mu=mean, sigma=covariance)
    return path


def edm2_stats():
    """calculate_metrics.py: a pickle with both metrics."""
    path = folder / "edm2.pkl"
    with open(path, "wb") as file:
        both = dict(mu=other.mean(0), sigma=np.cov(other, rowvar=False))
        pickle.dump(dict(num_images=4, fid=dict(mu=mean, sigma=covariance), fd_dinov2=both), file)
    return path


def adm_stats():
    """Reference batches of evaluator.py: images, labels and both statistics; it takes them in either order of memory."""
    path = folder / "adm.npz"
    images = (np.arange(2 * 2 * 2 * 3) * 7).astype(np.uint8).reshape(2, 2, 2, 3)
    spatial = dict(mu_s=other.mean(0).astype(np.float32), sigma_s=np.cov(other, rowvar=False).astype(np.float32))
    np.savez(path, arr_0=images, arr_1=np.arange(2), mu=mean, sigma=covariance_by_columns, **spatial)
    return path


paths = [pytorch_fid_stats(), clean_fid_stats(), torch_fidelity_stats(), edm_stats(), edm2_stats(), adm_stats()]
written = {
    "mean": mean.tolist(),
    "covariance": covariance.ravel().tolist(),
    "files": {path.name: base64.b64encode(path.read_bytes()).decode() for path in paths},
}
out = Path(__file__).parent.parent / "test" / "fixtures" / "statistics.json"
out.write_text(json.dumps(written, indent=2) + "\n")
print({path.name: path.stat().st_size for path in paths}, out.stat().st_size)
