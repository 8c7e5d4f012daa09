//! Automatic differentiation from nothing: an engine for single numbers in about 80 lines, one idea after another, and then
//! the same function in gradus, with equal derivatives.
//!
//! A list of operations that is walked backwards is an old idea (Wengert, "A simple automatic derivative evaluation program",
//! 1964; Linnainmaa, 1970). Every framework that trains networks is built around it.
//!
//! ```sh
//! cargo run --release --example autograd
//! ```

use std::cell::RefCell;
use std::collections::HashMap;
use std::error::Error;
use std::ops::{Add, Mul, Neg};
use std::rc::Rc;

use gradus::prelude::*;
use gradus_examples::require;

// The first idea: a value knows where on a list it was computed, and the list, the tape, keeps for each value the values that
// it was computed from, with the derivative by each. A derivative is a function, which is called when somebody asks.

#[derive(Clone, Copy)]
struct Value {
    number: f64,
    place: usize,
}

type Derivative = Rc<dyn Fn() -> Value>;

thread_local! {
    static TAPE: RefCell<Vec<Vec<(Value, Derivative)>>> = RefCell::default();
}

impl Value {
    fn recorded<const N: usize>(number: f64, inputs: [(Self, Derivative); N]) -> Self {
        TAPE.with_borrow_mut(|tape| {
            tape.push(inputs.into());
            Self { number, place: tape.len() - 1 }
        })
    }

    fn leaf(number: f64) -> Self {
        Self::recorded(number, [])
    }

    fn sin(self) -> Self {
        Self::recorded(self.number.sin(), [(self, Rc::new(move || self.cos()))])
    }

    fn cos(self) -> Self {
        Self::recorded(self.number.cos(), [(self, Rc::new(move || -self.sin()))])
    }

    fn exp(self) -> Self {
        Self::recorded(self.number.exp(), [(self, Rc::new(move || self.exp()))])
    }
}

impl Add for Value {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        let one = || Rc::new(|| Self::leaf(1.0));
        Self::recorded(self.number + other.number, [(self, one()), (other, one())])
    }
}

impl Mul for Value {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        Self::recorded(
            self.number * other.number,
            [(self, Rc::new(move || other)), (other, Rc::new(move || self))],
        )
    }
}

impl Neg for Value {
    type Output = Self;
    fn neg(self) -> Self {
        self * Self::leaf(-1.0)
    }
}

// The second idea: the chain rule, from the last value of the tape to the first. What read a value stands behind it, so when
// the walk comes to a value, its own derivative is complete: the sum over all that read it.

fn gradient<const N: usize>(result: Value, inputs: [Value; N]) -> [Value; N] {
    let mut derivatives = HashMap::from([(result.place, Value::leaf(1.0))]);
    for place in (0..=result.place).rev() {
        let Some(&outer) = derivatives.get(&place) else { continue };
        for (input, inner) in TAPE.with_borrow(|tape| tape[place].clone()) {
            let part = outer * inner();
            derivatives.entry(input.place).and_modify(|sum| *sum = *sum + part).or_insert(part);
        }
    }
    inputs.map(|input| derivatives.get(&input.place).copied().unwrap_or_else(|| Value::leaf(0.0)))
}

// The third idea: a gradient is held against differences of the values, or nobody should believe it.

fn difference(f: impl Fn(f64) -> f64, x: f64) -> f64 {
    let step = 1e-5;
    (f(x + step) - f(x - step)) / (2.0 * step)
}

fn example(x: Value, y: Value) -> Value {
    x * y + (x * x * y).sin() * (-y).exp()
}

fn main() -> Result<(), Box<dyn Error>> {
    let (x0, y0) = (1.2, 0.7);
    let (x, y) = (Value::leaf(x0), Value::leaf(y0));
    let z = example(x, y);
    println!(
        "z = x y + sin(x x y) exp(-y) at x = {x0}, y = {y0} is {:.9}; {} lines of tape",
        z.number,
        z.place + 1
    );
    let number = |x, y| example(Value::leaf(x), Value::leaf(y)).number;
    let [zx, zy] = gradient(z, [x, y]);
    // The fourth idea came for free: derivatives are values of the tape, so they have derivatives.
    let [zxx, zxy] = gradient(zx, [x, y]);
    let own = [zx, zy, zxx, zxy].map(|value| value.number);

    let dx = |x: f64, y: f64| {
        let (x, y) = (Value::leaf(x), Value::leaf(y));
        gradient(example(x, y), [x])[0].number
    };
    let differences = [
        difference(|x| number(x, y0), x0),
        difference(|y| number(x0, y), y0),
        difference(|x| dx(x, y0), x0),
        difference(|y| dx(x0, y), y0),
    ];

    // The same in gradus, where a value is a whole tensor. There is no list to clean: a variable holds the nodes behind it, and
    // the walk takes the deepest one first.
    let function = |x: &Var<f64>, y: &Var<f64>| x * y + (x * x * y).sin() * (-y).exp();
    let (x, y) = (Var::leaf(Tensor::scalar(x0)), Var::leaf(Tensor::scalar(y0)));
    let z = function(&x, &y);
    let first = grad_create_graph(&z, &[&x, &y]);
    let second = grad(&first[0], &[&x, &y]);
    let ours = [first[0].item(), first[1].item(), second[0].item(), second[1].item()];

    println!("\n            this engine    differences         gradus");
    for (i, name) in ["dz/dx", "dz/dy", "d2z/dx2", "d2z/dxdy"].iter().enumerate() {
        println!("{name:<9}{:>14.9} {:>14.9} {:>14.9}", own[i], differences[i], ours[i]);
        require("the error against differences", (own[i] - differences[i]).abs(), ..1e-8)?;
        require("the error against gradus", (own[i] - ours[i]).abs(), ..1e-14)?;
    }
    println!("\nthe tape of gradus:\n{}", Tape::of(&z).label(&x, "x").label(&y, "y"));
    Ok(())
}
