"""Times the `composed_...` workloads of the yardstick in PyTorch and JAX, and prints lines for its report.

python3 composed.py [--mode eager|compile|jax] [--threads N] [--seconds S]

The same expressions of basic operations; `compile` needs a C++ compiler. JAX has no setting for threads on the CPU, so the
process is confined to N processors, on Linux.
"""

import argparse
import json
import math
import os
import statistics
import time

parser = argparse.ArgumentParser()
parser.add_argument("--mode", choices=["eager", "compile", "jax"], default="eager")
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--seconds", type=float, default=2.0)
args = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = str(args.threads)
if args.mode == "jax":
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.threads])
    import jax
    import jax.numpy as m

    jax.config.update("jax_platforms", "cpu")
    to_tensor, sigmoid, compiled = m.array, jax.nn.sigmoid, jax.jit
    finish, peer, names = jax.block_until_ready, "jax", {"axis": -1, "keepdims": True}
else:
    import torch as m

    m.set_num_threads(args.threads)
    to_tensor, sigmoid = m.from_numpy, m.sigmoid
    compiled = (lambda f: m.compile(f, dynamic=False)) if args.mode == "compile" else (lambda f: f)
    finish, peer, names = (lambda x: x), f"torch-{args.mode}", {"dim": -1, "keepdim": True}

import numpy


def layernorm(x, weight, bias):
    centred = x - x.mean(**names)
    return centred / m.sqrt((centred * centred).mean(**names) + 1e-5) * weight + bias


def layernorm_rsqrt(x, weight, bias):
    centred = x - x.mean(**names)
    return centred * (1 / m.sqrt((centred * centred).mean(**names) + 1e-5)) * weight + bias


def softmax(x):
    largest = x.max(**names) if args.mode == "jax" else x.amax(**names)
    weights = m.exp(x - largest)
    return weights / weights.sum(**names)


def gelu(x):
    inner = (x + x * x * x * 0.044715) * math.sqrt(2 / math.pi)
    return x * 0.5 * (m.tanh(inner) + 1)


def focal(x, y):
    p, y = sigmoid(x), sigmoid(y)
    entropy = m.log(m.exp(x) + 1) - x * y
    missed = p + y - p * y * 2
    return (missed * missed * entropy * (y * -0.5 + 0.75)).mean()


workloads = {
    layernorm: [(1024, 1024), (1024,), (1024,)],
    layernorm_rsqrt: [(1024, 1024), (1024,), (1024,)],
    softmax: [(1024, 1024)],
    gelu: [(1_000_000,)],
    focal: [(1_000_000,)] * 2,
}


def measure(function, shapes):
    rng = numpy.random.default_rng(0)
    inputs = [to_tensor(rng.standard_normal(shape, dtype=numpy.float32)) for shape in shapes]
    call = compiled(function)

    def timed(count):
        start = time.perf_counter()
        for _ in range(count):
            finish(call(*inputs))
        return time.perf_counter() - start

    timed(2)
    count, end = 1, time.perf_counter() + args.seconds / 4
    while time.perf_counter() < end:
        if timed(count) < args.seconds / 40:
            count *= 2
    times, end = [], time.perf_counter() + args.seconds
    while time.perf_counter() < end or len(times) < 5:
        times.append(timed(count) / count * 1e6)
    line = {"peer": peer, "workload": f"composed_{function.__name__}", "threads": args.threads}
    times = {"median_us": round(statistics.median(times), 3), "min_us": round(min(times), 3)}
    print(json.dumps(line | times), flush=True)


if args.mode == "jax":
    for workload in workloads.items():
        measure(*workload)
else:
    with m.inference_mode():
        for workload in workloads.items():
            measure(*workload)
