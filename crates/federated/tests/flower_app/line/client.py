"""A client in Python beside those of gradus: the same model in NumPy."""

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()
rng = np.random.default_rng(3)
x = rng.standard_normal((30, 2)).astype(np.float32)
y = x @ np.array([[2.0], [-1.0]], dtype=np.float32) + 0.5


def _read(message):
    arrays = message.content["arrays"]
    return arrays["weight"].numpy().copy(), arrays["bias"].numpy().copy()


@app.train()
def train(message: Message, context: Context) -> Message:
    weight, bias = _read(message)
    for _ in range(10):
        error = x @ weight.T + bias - y
        weight -= 0.2 * (error.T @ x) / len(x)
        bias -= 0.2 * error.mean(axis=0)
    content = RecordDict(
        {
            "arrays": ArrayRecord({"weight": Array(weight), "bias": Array(bias)}),
            "metrics": MetricRecord({"num-examples": len(x)}),
        }
    )
    return Message(content=content, reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    weight, bias = _read(message)
    loss = float(((x @ weight.T + bias - y) ** 2).mean())
    content = RecordDict({"metrics": MetricRecord({"num-examples": len(x), "loss": loss})})
    return Message(content=content, reply_to=message)
