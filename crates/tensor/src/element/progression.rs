//! Numbers at equal distances.

use crate::shape::MAX_COUNT;

/// The numbers `start`, `start + step`, `start + 2 step` and so on.
pub trait Progression: Sized {
    /// The number of them before `stop`, unless that is infinite or not a number.
    fn terms(start: Self, stop: Self, step: Self) -> Option<usize>;
    /// The one after `i` steps.
    fn term(start: Self, step: Self, i: usize) -> Self;
}

impl Progression for i64 {
    fn terms(start: Self, stop: Self, step: Self) -> Option<usize> {
        let [first, end] = [start, stop].map(i128::from);
        let distance = if step > 0 { end - first } else { first - end };
        let width = u128::from(step.unsigned_abs());
        (step != 0).then(|| usize::try_from((distance.max(0) as u128).div_ceil(width)).ok())?
    }
    fn term(start: Self, step: Self, i: usize) -> Self {
        // Modulo 2^64, and therefore right, as the result has its place between `start` and `stop`.
        start.wrapping_add(step.wrapping_mul(i as Self))
    }
}

macro_rules! float_progression {
    ($($float:ty)*) => {$(
        impl Progression for $float {
            fn terms(start: Self, stop: Self, step: Self) -> Option<usize> {
                let [first, end, width] = [start, stop, step].map(f64::from);
                let exact = (end - first) / width;
                // The distance may be too large for a number.
                let exact = if exact.is_finite() { exact } else { end / width - first / width };
                if step == 0.0 || !exact.is_finite() || exact > MAX_COUNT as f64 {
                    return None;
                }
                let before = |x: Self| if step > 0.0 { x < stop } else { x > stop };
                // A quotient may be too small for a number, too.
                let count = exact.ceil().max(if before(start) { 1.0 } else { 0.0 }) as usize;
                if count == 0 || before(Self::term(start, step, count - 1)) {
                    return Some(count);
                }
                let (mut inside, mut outside) = (0, count - 1);
                while inside < outside {
                    let middle = inside + (outside - inside) / 2;
                    if before(Self::term(start, step, middle)) { inside = middle + 1 } else { outside = middle }
                }
                Some(inside)
            }
            fn term(start: Self, step: Self, i: usize) -> Self {
                let [first, width, i] = [f64::from(start), f64::from(step), i as f64];
                match first + i * width {
                    x if x.is_finite() => x as Self,
                    // A product may overflow, and 0 times infinity is NaN.
                    _ if i == 0.0 => start,
                    _ => ((first / 2.0 + i * (width / 2.0)) * 2.0) as Self,
                }
            }
        }
    )*};
}
float_progression!(f32 f64);
