"""The Fréchet distance by SciPy's square root of a matrix, as pytorch-fid and torch-fidelity have it, or by symmetric eigenvalues."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import numpy
import safetensors.numpy
import scipy
import scipy.linalg
from serve import blas, inputs, serve, timed

given = safetensors.numpy.load_file(inputs("distance.safetensors"))
(mean_a, a), (mean_b, b) = ((given[f"mean{seed}"], given[f"covariance{seed}"]) for seed in (1, 2))
found = []


def trace_of_root():
    if sys.argv[1] == "sqrtm":
        return numpy.trace(scipy.linalg.sqrtm(a @ b)).real
    values, vectors = scipy.linalg.eigh(a)
    root = (vectors * numpy.sqrt(values.clip(0))) @ vectors.T
    return numpy.sqrt(scipy.linalg.eigvalsh(root @ b @ root).clip(0)).sum()


def distance():
    found[:] = [((mean_a - mean_b) ** 2).sum() + numpy.trace(a) + numpy.trace(b) - 2 * trace_of_root()]


serve(
    {"distance": timed(lambda: distance, warm=True)},
    about=f"SciPy {scipy.__version__}, NumPy {numpy.__version__}, {'; '.join(blas())}",
    check=lambda: found,
)
