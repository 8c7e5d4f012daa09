"""A client in Python, on data and with steps that the clients of gradus have, too."""

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


def _points(context: Context) -> tuple[np.ndarray, np.ndarray]:
    """The points of a client, as `Points::new` of the test has them."""
    client, count = int(context.node_config["client"]), int(context.node_config["count"])
    i = np.arange(count)
    x = np.stack([np.sin(1.7 * i + client), np.cos(2.3 * i + 2 * client)], axis=1)
    y = (2 + client) * x[:, :1] - x[:, 1:] + 0.5
    return x.astype(np.float32), y.astype(np.float32)


def _reply(message: Message, arrays: ArrayRecord | None, loss: float, count: int) -> Message:
    content = RecordDict({"metrics": MetricRecord({"loss": loss, "num-examples": count})})
    if arrays is not None:
        content["arrays"] = arrays
    return Message(content=content, reply_to=message)


def _model(message: Message) -> tuple[np.ndarray, np.ndarray]:
    arrays = message.content["arrays"]
    return arrays["weight"].numpy(), arrays["bias"].numpy()


@app.train()
def train(message: Message, context: Context) -> Message:
    x, y = _points(context)
    weight, bias = _model(message)
    for _ in range(10):
        error = 2 * (x @ weight.T + bias - y) / len(x)
        weight = (weight - 0.1 * error.T @ x).astype(np.float32)
        bias = (bias - 0.1 * error.sum(axis=0)).astype(np.float32)
    loss = float(np.mean((x @ weight.T + bias - y) ** 2))
    arrays = ArrayRecord({"weight": Array(weight), "bias": Array(bias)})
    return _reply(message, arrays, loss, len(x))


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    x, y = _points(context)
    weight, bias = _model(message)
    return _reply(message, None, float(np.mean((x @ weight.T + bias - y) ** 2)), len(x))
