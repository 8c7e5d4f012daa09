"""Three rounds of Flower's own FedAvg over a linear model, which starts at 0."""

import json
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
    evaluations = result.evaluate_metrics_clientapp
    report = {
        "loss": [dict(evaluations[round])["loss"] for round in sorted(evaluations)],
        "weight": result.arrays["weight"].numpy().ravel().tolist(),
        "bias": result.arrays["bias"].numpy().tolist(),
    }
    with open(str(context.run_config["out"]), "w", encoding="utf-8") as file:
        json.dump(report, file)

