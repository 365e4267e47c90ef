"""What a measuring process does: see serve.ts."""
import json
import os
import platform
import resource
import sys
import time


def inputs(name):
    """A file that the suite's inputs script wrote."""
    return os.path.join(os.environ["BENCH_INPUTS"], name)


def torch_about(*more):
    import torch

    return ", ".join([f"PyTorch {torch.__version__}", f"{torch.get_num_threads()} threads", *more])


def blas():
    """The kernels and threads that NumPy's and SciPy's BLAS took."""
    import threadpoolctl

    found = [p for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas"]
    return sorted({f"{p['internal_api']} {p['version']} for {p.get('architecture')}, {p['num_threads']} threads" for p in found})


def own_peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def serve(cases, about=None, check=list, peak=own_peak):
    def say(**value):
        print(json.dumps(value), flush=True)

    say(cases=list(cases), about=about or f"Python {platform.python_version()}")
    for line in sys.stdin:
        name = line.rstrip("\n")
        try:
            if name == "#peak":
                say(value=peak())
            elif name == "#check":
                say(check=[float(value) for value in check()])
            else:
                say(value=cases[name]())
        except Exception as error:
            say(error=f"{type(error).__name__}: {error}")


def timed(prepare, warm=False):
    made = []

    def measure():
        if not made:
            made.append(prepare())
            if not warm:
                made[0]()
        begun, runs = time.perf_counter(), 0
        while True:
            made[0]()
            runs += 1
            if time.perf_counter() - begun >= 0.2:
                return 1e3 * (time.perf_counter() - begun) / runs

    return measure
