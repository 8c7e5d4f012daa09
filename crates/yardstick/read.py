"""Reads the files of `gradus-yardstick read --folder FOLDER` with NumPy and pandas, and prints lines for its report.

python3 read.py FOLDER [SECONDS]
"""

import gzip
import json
import pathlib
import sys
import time

import numpy
import pandas

folder = pathlib.Path(sys.argv[1])
seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 2.0


def images():
    with gzip.open(folder / "images.idx.gz") as file:
        pixels = numpy.frombuffer(file.read(), numpy.uint8, offset=16)
    return pixels.reshape(-1, 28, 28).astype(numpy.float32) / numpy.float32(255)


readers = {
    ("numpy", "read_idx"): images,
    ("pandas", "read_csv"): lambda: pandas.read_csv(folder / "table.csv").to_numpy(numpy.float64),
    ("numpy", "read_npy"): lambda: numpy.load(folder / "array.npy"),
}
for (peer, workload), read in readers.items():
    times = []
    while len(times) < 5 or sum(times) < seconds:
        start = time.perf_counter()
        read()
        times.append(time.perf_counter() - start)
    times = [time * 1e6 for time in sorted(times)]
    line = {"peer": peer, "workload": workload, "threads": 2}
    print(json.dumps(line | {"median_us": times[len(times) // 2], "min_us": times[0], "iters": len(times)}))
