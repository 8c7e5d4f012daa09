#!/usr/bin/env python3
"""Writes unary.csv and binary.csv: functions, their first and their second derivatives, rounded to f64 from 2,300
bits. Needs mpmath. Usage: python3 generate.py

A row is the name, the arguments and the results. Arguments lie at logarithmic distances from 0, from infinity and
from the places named below (ends of the domain, zeros, poles, overflow); those that are also numbers of f32 serve both
types. The comments of the functions say no more than their formulas do, so the library's are not repeated here.
"""
import math, random, struct
from fractions import Fraction
from mpmath import mp, mpf

mp.prec = 2300  # the largest and the smallest number in one sum

def single(x):
    """The nearest f32."""
    try:
        return struct.unpack("f", struct.pack("f", x))[0]
    except OverflowError:
        return math.copysign(math.inf, x)

def rounded(x):
    """The nearest f64, as text."""
    if not isinstance(x, mpf):
        x = mpf(x)
    if not mp.isfinite(x):
        return str(float(x)).replace("nan", "NaN")
    sign, man, exp, _ = x._mpf_
    man, exp = int(man), int(exp)
    try:
        y = float(Fraction(man) * Fraction(2) ** exp) if exp > -9000 else 0.0
    except OverflowError:
        y = math.inf
    return repr(-y if sign else y)

class Jet:
    """A value with its derivatives by one or two arguments, to second order: {(): f, (0,): df/dx, (0, 1): ...}."""
    def __init__(self, parts):
        self.parts = parts
    def chain(self, f0, f1, f2):
        p = self.parts
        new = {(): f0}
        for key, value in p.items():
            if len(key) == 1:
                new[key] = f1 * value
            elif len(key) == 2:
                new[key] = f1 * value + f2 * p[key[:1]] * p[key[1:]]
        return Jet(new)
    def lift(self, other):
        return other if isinstance(other, Jet) else Jet({k: mpf(other) if k == () else mpf(0) for k in self.parts})
    def __add__(self, other):
        other = self.lift(other)
        return Jet({k: v + other.parts[k] for k, v in self.parts.items()})
    def __mul__(self, other):
        a, b = self.parts, self.lift(other).parts
        new = {}
        for k in a:
            if len(k) == 2:
                new[k] = a[k]*b[()] + a[k[:1]]*b[k[1:]] + a[k[1:]]*b[k[:1]] + a[()]*b[k]
            elif len(k) == 1:
                new[k] = a[k]*b[()] + a[()]*b[k]
            else:
                new[k] = a[k]*b[k]
        return Jet(new)
    def __neg__(self): return self * -1
    def __sub__(self, other): return self + -self.lift(other)
    def __rsub__(self, other): return -self + other
    def __truediv__(self, other): return self * reciprocal(self.lift(other))
    def __rtruediv__(self, other): return reciprocal(self) * other
    __radd__, __rmul__ = __add__, __mul__
    @property
    def value(self): return self.parts[()]

def lifted(f):
    """A function of a jet, from the function that gives f, f' and f''."""
    return lambda x: x.chain(*f(x.value))

def domain(condition):
    if not condition:
        raise ValueError

def power(x, n): return mp.power(x, mpf(n))
def _log(x): domain(x > 0); return mp.log(x), 1/x, -1/x**2
def _sqrt(x): domain(x > 0); y = mp.sqrt(x); return y, 1/(2*y), -1/(4*x*y)
def _asin(x): domain(abs(x) < 1); w = 1 - x*x; return mp.asin(x), w**-0.5, x*w**-1.5
def _acosh(x): domain(x > 1); w = x*x - 1; return mp.acosh(x), w**-0.5, -x*w**-1.5
def _atanh(x): domain(abs(x) < 1); w = 1 - x*x; return mp.atanh(x), 1/w, 2*x/w**2
def _atan(x): w = 1 + x*x; return mp.atan(x), 1/w, -2*x/w**2
def _asinh(x): w = 1 + x*x; return mp.sign(x) * mp.log(abs(x) + mp.sqrt(w)), w**-0.5, -x*w**-1.5
def _exp(x): y = mp.exp(x); return y, y, y
def _sinh(x): return (mp.exp(x) - mp.exp(-x))/2, (mp.exp(x) + mp.exp(-x))/2, (mp.exp(x) - mp.exp(-x))/2
def _sin(x): return mp.sin(x), mp.cos(x), -mp.sin(x)
def _erf(x):
    slope = 2/mp.sqrt(mp.pi) * mp.exp(-x*x) if abs(x) < 60 else mpf(0)
    y = mp.erf(x) if abs(x) < 60 else mp.sign(x)
    return y, slope, -2*x*slope
def _erfc(x):
    y, slope, bend = _erf(x)
    if 0 < x < 60:
        y = 1 - mp.erfc(x)
        return 1 - y if x < 1 else mp.erfc(x), -slope, -bend
    return 1 - y, -slope, -bend
def psi(n, x):
    """Derivative n of the digamma function, n up to 3, by the reflection formula if x is negative."""
    if x < 0:
        c = mp.cospi(x) / mp.sinpi(x)
        d = [c, -(1 + c*c), 2*c*(1 + c*c), -(1 + c*c)*(2 + 6*c*c)][n]
        return (-1)**n * psi(n, 1 - x) - mp.pi**(n + 1) * d
    if x > 10**9:  # the asymptotic series, whose terms fall by x^2
        first = mp.log(x) if n == 0 else (-1)**(n - 1) * mp.factorial(n - 1) / x**n
        rest = mp.fsum(mp.bernoulli(k) * mp.factorial(k + n - 1) / mp.factorial(k) / x**(k + n) for k in range(2, 12, 2))
        return first - (-1)**n * mp.factorial(n) / (2 * x**(n + 1)) - (-1)**n * rest
    return mp.psi(n, x)
def _lgamma(x):
    domain(x != mp.floor(x) or x > 0)
    with mp.workprec(400):
        y = mp.re(mp.loggamma(x)) if x > 0 else mp.log(mp.pi/abs(mp.sinpi(x))) - mp.re(mp.loggamma(1 - x))
        return y, psi(0, x), psi(1, x)
def _polygamma(n):
    def f(x):
        domain(x != mp.floor(x) or x > 0)
        with mp.workprec(400):
            return psi(n, x), psi(n + 1, x), psi(n + 2, x)
    return f

exp, log, sqrt, asin, acosh, atanh, atan, asinh, sinh, sin, erf, erfc = map(
    lifted, [_exp, _log, _sqrt, _asin, _acosh, _atanh, _atan, _asinh, _sinh, _sin, _erf, _erfc])
reciprocal = lifted(lambda x: (1/x, -1/x**2, 2/x**3))
def acos(x): return x.chain(mp.acos(x.value), *[-d for d in _asin(x.value)[1:]])
cosh = lambda x: (exp(x) + exp(-x)) / 2
def tanh(x):
    if abs(x.value) > 4000:
        return x.chain(mp.sign(x.value), mpf(0), mpf(0))
    y = _sinh(x.value)[0] / _sinh(x.value)[1]
    slope = 1/_sinh(x.value)[1]**2
    return x.chain(y, slope, -2*y*slope)
cos = lifted(lambda x: (mp.cos(x), -mp.sin(x), -mp.cos(x)))
def tan(x): return sin(x) / cos(x)
def absolute(x): return x if x.value > 0 else -x
def bounded(f):
    """f, of what exp can take."""
    def g(x):
        domain(abs(x.value) < 10**6)
        return f(x)
    return g
sigmoid = lambda x: 1 / (1 + exp(-x))
softplus = lambda x: log(1 + exp(x))
normal = lambda x: (2 - erfc(x / mp.sqrt(2))) / 2 if x.value > 0 else erfc(-x / mp.sqrt(2)) / 2
def below(f):
    return lambda x: f(x) if x.value < 0 else x
SELU = mpf("1.6732632423543772848170429916717"), mpf("1.0507009873554804934193349852946")

UNARY = {  # name: (function, places)
    "exp": (bounded(exp), [709.78, 88.72, -745.1, -103.97, -708.4, -87.33]),
    "exp2": (bounded(lambda x: exp(x * mp.log(2))), [1024, 128, -1074, -149, -1022, -126]),
    "expm1": (bounded(lambda x: exp(x) - 1), [709.78, 88.72]),
    "log": (log, [1]),
    "log2": (lambda x: log(x) / mp.log(2), [1]),
    "log10": (lambda x: log(x) / mp.log(10), [1]),
    "log1p": (lambda x: log(1 + x), [-1]),
    "sqrt": (sqrt, []),
    "rsqrt": (lambda x: 1 / sqrt(x), []),
    "reciprocal": (lambda x: 1 / x, []),
    "square": (lambda x: x * x, []),
    "sin": (sin, [math.pi, math.pi/2, 100*math.pi]),
    "cos": (cos, [math.pi, math.pi/2, 100.5*math.pi]),
    "tan": (tan, [math.pi, math.pi/2, 100.5*math.pi]),
    "asin": (asin, [1, -1]),
    "acos": (acos, [1, -1]),
    "atan": (atan, []),
    "sinh": (bounded(sinh), [710.4, 89.4]),
    "cosh": (bounded(cosh), [710.4, 89.4]),
    "tanh": (tanh, []),
    "asinh": (asinh, []),
    "acosh": (acosh, [1]),
    "atanh": (atanh, [1, -1]),
    "erf": (erf, [1]),
    "erfc": (erfc, [26.5, 10]),
    "lgamma": (lifted(_lgamma), [1, 2, 3, -1, -2.4570247382208006, -2.7476826467274127, -3.1435808883499799, -20]),
    "digamma": (lifted(_polygamma(0)), [1.4616321449683623, -0.5040830082644554, -1, -10]),
    "polygamma(1)": (lifted(_polygamma(1)), [1, -1, -10]),
    "sigmoid": (bounded(sigmoid), [-709, -745, -88, -103, 37, 17]),
    "logsigmoid": (bounded(lambda x: -softplus(-x)), [-709, 745, 88]),
    "softplus": (bounded(softplus), [-745, 709, -88]),
    "softplus(3)": (bounded(lambda x: softplus(x * 3) / 3), [-200]),
    "softsign": (lambda x: x / (1 + absolute(x)), []),
    "silu": (bounded(lambda x: x * sigmoid(x)), [-1.2784645427610738, -700, -80]),
    "mish": (bounded(lambda x: x * tanh(softplus(x))), [-1.1924, -700, -80]),
    "gelu": (bounded(lambda x: x * normal(x)), [-0.7517915246935645, -1.4142135623730951, -37, -13]),
    "gelu_tanh": (bounded(lambda x: x * sigmoid(2 * mp.sqrt(2/mp.pi) * (x + mpf("0.044715")*x*x*x))), [-0.7524614220710162, -20, -9]),
    "elu(1.5)": (below(bounded(lambda x: (exp(x) - 1) * mpf("1.5"))), [-700, -88]),
    "celu(2)": (below(bounded(lambda x: (exp(x / 2) - 1) * 2)), [-1400, -176]),
    "selu": (lambda x: below(bounded(lambda x: (exp(x) - 1) * SELU[0]))(x) * SELU[1], [-700, -88]),
    "hardswish": (lambda x: domain(abs(x.value) != 3) or (x * 0 if x.value < -3 else x if x.value > 3 else x * (x + 3) / 6), [-3, 3, -1.5]),
    "pow_scalar(2.5)": (lambda x: x.chain(*[(domain(x.value > 0), power(x.value, 2.5))[1], 2.5*power(x.value, 1.5), 3.75*power(x.value, .5)]), [1]),
    "pow_scalar(-0.3125)": (lambda x: x.chain(*[(domain(x.value > 0), power(x.value, -0.3125))[1], mpf(-0.3125)*power(x.value, mpf(-0.3125) - 1), mpf(-0.3125)*(mpf(-0.3125) - 1)*power(x.value, mpf(-0.3125) - 2)]), [1]),
    "pow_scalar(3)": (lambda x: x * x * x, []),
    "pow_scalar(-1)": (lambda x: 1 / x, []),
}

def _pow(x, y):
    return exp(y * log(x))
def _hypot(x, y):
    return sqrt(x*x + y*y)
def _atan2(y, x):
    r2 = x.value**2 + y.value**2
    a, b = x.value, y.value
    domain(abs(a) != abs(b))  # arguments: 0 is y, 1 is x
    return Jet({(): mp.atan2(b, a), (0,): a/r2, (1,): -b/r2,
                (0, 0): -2*a*b/r2**2, (0, 1): (b*b - a*a)/r2**2, (1, 1): 2*a*b/r2**2})
def _logaddexp(x, y):
    domain(abs(x.value - y.value) < 10**5)
    top = max(x.value, y.value)
    return log(exp(x - top) + exp(y - top)) + top
BINARY = {
    "pow": (_pow, [1e-310, 1e-300, 1e-40, 1e-5, 0.3, 0.999999, 1.0000001, 2, 17, 1e10, 1e30, 1e300],
            [0, 1e-310, 1e-20, 0.1, 0.5, 0.7, 1, 1.5, 2, 3, 10.3, -1e-9, -0.3, -1, -2.7]),
    "hypot": (_hypot, None, None),
    "atan2": (_atan2, None, None),
    "logaddexp": (_logaddexp, [-1e8, -700.3, -80, -1, -0.6931472, 0, 1e-30, 0.5, 10, 88.5, 709],
                  [-1e8, -700.1, -80.5, -1.5, -0.6931472, 0, 1e-30, 0.25, 20, 89, 710]),
    "xlogy": (lambda x, y: x * log(y), [-1e300, -1e30, -2.5, -1e-40, 1e-310, 1e-7, 0.75, 3, 1e20, 1e307],
              [1e-310, 1e-40, 1e-3, 0.999, 0.9999999, 1.0000001, 1.5, 20, 1e30, 1e305]),
}

SINGLE = [-149, -145, -138, -127, -126, -110, -90, -64, -50, -40, -30, -26, -23, -20, -16, -13, -11, -9, -7, -5, -4, -3,
          -2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 9, 12, 16, 24, 28, 48, 63, 64, 100, 126, 127]
DOUBLE = [-1074, -1060, -1040, -1023, -1022, -1000, -800, -520, -511, -400, -300, -200, -140, -60, -54, -28, -14, -6, -2, 0,
          2, 4, 6, 8, 9, 30, 53, 56, 140, 200, 300, 400, 511, 520, 800, 1000, 1022, 1023]

def points(places):
    random.seed(1)
    found = set()
    for exponents, bits in [(SINGLE, 23), (DOUBLE, 52)]:
        for e in exponents:
            for sign in (1, -1):
                significand = 1 + random.getrandbits(bits) / 2.0**bits
                x = math.ldexp(significand, e)
                found.add(sign * (single(x) if bits == 23 else x))
    largest = [single(3.4028234663852886e38), 1.7976931348623157e308]
    found |= {sign * x for x in largest for sign in (1, -1)}
    for place in places:
        found |= {single(place), place}
        for sign in (1, -1):
            found |= {single(place + sign * 2.0**k * max(1, abs(place))) for k in (-1, -2, -4, -7, -10, -13, -16, -19, -22)}
            found |= {place + sign * 2.0**k * max(1, abs(place)) for k in (-27, -33, -40, -46, -51)}
            found.add(math.nextafter(place, sign * math.inf))
            bits = struct.unpack("I", struct.pack("f", place))[0]
            found.add(struct.unpack("f", struct.pack("I", bits + sign))[0])
    return sorted(x for x in found if math.isfinite(x) and x != 0)

def write(path, rows):
    with open(path, "w") as out:
        for row in rows:
            out.write(",".join(row) + "\n")

def main():
    rows = []
    for name, (f, places) in UNARY.items():
        for x in points(places):
            try:
                parts = f(Jet({(): mpf(x), (0,): mpf(1), (0, 0): mpf(0)})).parts
            except (ValueError, ZeroDivisionError, OverflowError):
                continue
            results = [rounded(parts[k]) for k in [(), (0,), (0, 0)]]
            if "inf" not in results[0]:
                rows.append([name, repr(x)] + results)
    write("unary.csv", rows)
    rows = []
    for name, (f, xs, ys) in BINARY.items():
        if xs is None:
            xs = ys = [s * v for v in (3e-310, 1e-200, 1.2e-39, 3e-20, 1e-7, 0.7, 1.3, 1e10, 1e38, 1e160, 1e308) for s in (1, -1)]
            ys = [abs(y) if name == "hypot" else y for y in ys]
        for x in xs:
            for y in ys:
                for cast in (single, float):
                    a, b = cast(x), cast(y)
                    if math.isinf(a) or math.isinf(b) or (a == 0) != (x == 0) or (b == 0) != (y == 0):
                        continue
                    parts = {(): 0, (0,): 0, (1,): 0, (0, 0): 0, (0, 1): 0, (1, 1): 0}
                    try:
                        jet = f(*[Jet({k: mpf(v if k == () else int(k == (i,))) for k in parts}) for i, v in enumerate((a, b))])
                    except (ValueError, ZeroDivisionError):
                        continue
                    results = [rounded(jet.parts[k]) for k in parts]
                    row = [name, repr(a), repr(b)] + results
                    if "inf" not in results[0] and row not in rows[-40:]:
                        rows.append(row)
    write("binary.csv", rows)

main()
