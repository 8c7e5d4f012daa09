"""Three rounds of Flower's own FedAvg over a linear model, which starts at 0, and one more after the report."""

import json
import os
import traceback

import numpy as np
from flwr.app import Array, ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    try:
        _run(grid, context)
    except Exception:
        # Where the test shows it.
        with open(str(context.run_config["out"]) + ".log", "w", encoding="utf-8") as file:
            traceback.print_exc(file=file)
        raise


def _run(grid: Grid, context: Context) -> None:
    nodes = int(context.run_config["nodes"])
    arrays = ArrayRecord(
        {
            "weight": Array(np.zeros((1, 2), dtype=np.float32)),
            "bias": Array(np.zeros(1, dtype=np.float32)),
        }
    )
    strategy = FedAvg(min_train_nodes=nodes, min_evaluate_nodes=nodes, min_available_nodes=nodes)
    result = strategy.start(grid=grid, initial_arrays=arrays, num_rounds=3)
    trained, evaluated = result.train_metrics_clientapp, result.evaluate_metrics_clientapp
    report = {
        "trained": [dict(trained[round])["loss"] for round in sorted(trained)],
        "evaluated": [dict(evaluated[round])["loss"] for round in sorted(evaluated)],
        "weight": result.arrays["weight"].numpy().ravel().tolist(),
        "bias": result.arrays["bias"].numpy().tolist(),
    }
    out = str(context.run_config["out"])
    with open(out + ".part", "w", encoding="utf-8") as file:
        json.dump(report, file)
    os.rename(out + ".part", out)
    strategy.start(grid=grid, initial_arrays=result.arrays, num_rounds=1)
