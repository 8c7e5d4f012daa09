#!/usr/bin/env python3
"""Writes unary.csv and binary.csv: values, first and second derivatives of scalar functions in PyTorch at kinks, zeros,
infinities and NaN. Needs torch. Usage: python3 generate.py
"""
import math
import torch
import torch.nn.functional as F

inf, nan = math.inf, math.nan
EVERYWHERE = [nan, inf, -inf, 0.0, -0.0]
like = lambda x, value: torch.full_like(x, value)
UNARY = {  # name: (function, further points)
    **{name: (getattr(torch, name), points) for name, points in {
        "exp": [], "exp2": [], "expm1": [], "log": [-1], "log2": [-1], "log10": [-1], "log1p": [-1, -2], "sqrt": [-1],
        "rsqrt": [-1], "reciprocal": [], "square": [], "abs": [], "sign": [2], "sin": [], "cos": [], "tan": [],
        "asin": [1, -1, 2], "acos": [1, -1, 2], "atan": [], "sinh": [], "cosh": [], "tanh": [], "asinh": [],
        "acosh": [1, 0.5, -2], "atanh": [1, -1, 2], "erf": [], "erfc": [], "lgamma": [-1], "digamma": [-1],
        "floor": [2], "ceil": [2], "trunc": [2], "round": [2.5], "frac": [2, -1.5], "sigmoid": [], "relu": [1, -1]}.items()},
    "logsigmoid": (F.logsigmoid, []), "hardsigmoid": (F.hardsigmoid, [-3, 3, 4, -4]), "softsign": (F.softsign, []),
    "relu6": (F.relu6, [6, 7, -1]), "selu": (F.selu, [1]), "silu": (F.silu, []), "mish": (F.mish, []),
    "hardswish": (F.hardswish, [-3, 3, 4, -4, -1.5]), "gelu": (F.gelu, []), "gelu_tanh": (lambda x: F.gelu(x, approximate="tanh"), []),
    "hardtanh(-1,2)": (lambda x: F.hardtanh(x, -1, 2), [-1, 2, 3, 1]), "clamp(-1,2)": (lambda x: x.clamp(-1, 2), [-1, 2, 3, 1]),
    "clamp(2,1)": (lambda x: x.clamp(2, 1), [1, 2, 1.5]), "clamp(-inf,1)": (lambda x: x.clamp(max=1), [1]),
    "leaky_relu(0.25)": (lambda x: F.leaky_relu(x, 0.25), []), "elu(1.5)": (lambda x: F.elu(x, 1.5), []),
    "celu(0.5)": (lambda x: F.celu(x, 0.5), []), "softplus(2,3)": (lambda x: F.softplus(x, 2, 3), [1.5, 1.75]),
    "softplus(1,20)": (lambda x: F.softplus(x), [20, 21]),
    "huber_loss(1.5)": (lambda x: F.huber_loss(x, like(x, 0), delta=1.5), [1.5, -1.5, 2, -2]),
    "smooth_l1_loss(1.5)": (lambda x: F.smooth_l1_loss(x, like(x, 0), beta=1.5), [1.5, -1.5, 2, -2]),
    "l1_loss": (lambda x: F.l1_loss(x, like(x, 0)), [2]), "mse_loss": (lambda x: F.mse_loss(x, like(x, 0)), [2]),
    **{f"pow_scalar({e})": (lambda x, e=e: x ** e, [-1]) for e in [0, 0.5, 1, 1.5, 2, 2.5, 3, -1, -0.5]},
}
GRID = [nan, inf, -inf, 0.0, -0.0, 1.0, 2.0, -2.0]
BINARY = {name: getattr(torch, name) for name in
          ["pow", "atan2", "hypot", "logaddexp", "xlogy", "fmod", "remainder", "maximum", "minimum", "mul", "div"]}
BINARY["prelu"] = lambda x, w: F.prelu(x, w)

def text(x):
    x = float(x.detach() if isinstance(x, torch.Tensor) else x)
    return "NaN" if math.isnan(x) else repr(x)

def derivatives(f, arguments):
    xs = [torch.tensor([float(x)], dtype=torch.float64, requires_grad=True) for x in arguments]
    y = f(*xs).sum()
    zero = torch.zeros(1, dtype=torch.float64)
    def grads(y):
        if not y.requires_grad:
            return [zero] * len(xs)
        return [zero if g is None else g for g in torch.autograd.grad(y, xs, create_graph=True, allow_unused=True)]
    first = grads(y)
    try:
        second = [s for i, g in enumerate(first) for s in grads(g.sum())[i:]]
    except RuntimeError:  # PyTorch has no second derivative of hardsigmoid
        second = [zero] * len(xs)
    return [y, *first, *second]

def main():
    with open("unary.csv", "w") as out:
        for name, (f, points) in UNARY.items():
            for x in EVERYWHERE + points:
                out.write(";".join([name, text(x), *map(text, derivatives(f, [x]))]) + "\n")
    with open("binary.csv", "w") as out:
        for name, f in BINARY.items():
            for x in GRID:
                for y in GRID:
                    try:
                        row = derivatives(f, [x, y])
                    except RuntimeError:
                        continue
                    out.write(";".join([name, text(x), text(y), *map(text, row)]) + "\n")

main()
