"""Times `infer_256` (784-512-256-10 on 256 rows) of gradus and of PyTorch, with numbers and with 8-bit integers, and a CNN of gradus, by
turns in one run, and prints the least times, which other programs disturb least, and their ratios.

cargo build --release -p gradus-yardstick
python3 crates/yardstick/quantize.py target/release/gradus-yardstick [ROUNDS [THREADS]]
"""

import copy
import json
import statistics
import subprocess
import sys
import time
import warnings

import torch
import torch.ao.quantization as quantization

warnings.filterwarnings("ignore")
program = sys.argv[1]
rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 20
threads = sys.argv[3] if len(sys.argv) > 3 else "1"
SECONDS = 0.1
torch.set_num_threads(int(threads))
torch.manual_seed(0)

x = torch.randn(256, 784)
linear = torch.nn.Linear
model = torch.nn.Sequential(
    linear(784, 512), torch.nn.ReLU(), linear(512, 256), torch.nn.ReLU(), linear(256, 10)
).eval()


def static(engine):
    torch.backends.quantized.engine = engine
    prepared = quantization.QuantWrapper(copy.deepcopy(model)).eval()
    prepared.qconfig = quantization.get_default_qconfig(engine)
    prepared = quantization.fuse_modules(prepared, [["module.0", "module.1"], ["module.2", "module.3"]])
    quantization.prepare(prepared, inplace=True)
    prepared(x)
    return quantization.convert(prepared)


def dynamic(engine):
    torch.backends.quantized.engine = engine
    return quantization.quantize_dynamic(copy.deepcopy(model), {linear}, dtype=torch.qint8)


runs = {("pytorch", "f32"): (None, model)}
for engine in ("fbgemm", "onednn", "x86"):
    if engine in torch.backends.quantized.supported_engines:
        runs[f"pytorch {engine}", "static"] = (engine, static(engine))
        runs[f"pytorch {engine}", "dynamic"] = (engine, dynamic(engine))


def least(engine, run):
    """The least time of a run, of batches of runs as long as the yardstick's."""
    if engine:
        torch.backends.quantized.engine = engine
    times, count = [], 1

    def timed():
        start = time.perf_counter()
        for _ in range(count):
            run(x)
        return time.perf_counter() - start

    with torch.inference_mode():
        first = timed()
        if first > 1:
            return first * 1e6
        while timed() < SECONDS / 40:
            count *= 2
        start = time.perf_counter()
        while len(times) < 5 or time.perf_counter() - start < SECONDS:
            times.append(timed() / count)
    return min(times) * 1e6


found = {}
for (peer, kind), (engine, run) in list(runs.items()):
    if (time_once := least(engine, run)) > 1e6:
        # For some layers oneDNN has no kernel for a zero point of the input, and takes its reference code.
        print(f"{peer} {kind}: {time_once / 1e6:.1f} s: left out")
        del runs[peer, kind]
for _ in range(rounds):
    for key, (engine, run) in runs.items():
        found.setdefault(key, []).append(least(engine, run))
    lines = subprocess.run([program, "quantize", "--threads", threads, "--seconds", str(SECONDS)], capture_output=True, text=True, check=True)
    for line in map(json.loads, lines.stdout.splitlines()):
        key = "gradus", line["workload"].removeprefix("infer_256_")
        found.setdefault(key, []).append(line["min_us"])

best = {key: min(times) for key, times in found.items()}
print(f"infer_256 and cnn_256, threads: {threads}, microseconds: the least time of", rounds, "rounds, and the median of the rounds")
for (peer, kind), times in found.items():
    print(f"{peer:16} {kind:8} {min(times):8.0f} {statistics.median(times):8.0f}")
# PyTorch's fbgemm rounds inputs to 7 bits, as `static7` does.
for kind, theirs in (("static", "static"), ("static7", "static"), ("dynamic", "dynamic")):
    ours = best["gradus", kind]
    peers = {peer: time for (peer, other), time in best.items() if other == theirs and peer != "gradus"}
    text = ", ".join(f"{ours / time:.2f} of {peer}" for peer, time in peers.items())
    print(f"{kind}: {ours / best['gradus', 'f32']:.2f} of gradus f32, {text}")
