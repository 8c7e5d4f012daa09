//! Where products are cut for threads, so that no number of threads changes a bit.

use std::ops::Range;

use crate::kernels::matmul::{MatrixRef, SHARED};
use crate::runtime::num_threads;

/// Where a product is cut for threads: along its rows or along its columns, never along the sums. A cut that
/// would change the order of a sum is not made.
pub(crate) struct Cuts {
    pub(crate) parts: usize,
    by_rows: bool,
    /// The rows or columns of a part.
    length: usize,
}

impl Cuts {
    pub(crate) fn new<T: Copy>(lhs: MatrixRef<T>, rhs: MatrixRef<T>, products: usize) -> Self {
        // Parts should end where the tiles of the kernels do.
        const TILES: [usize; 4] = [64, 32, 16, 8];
        // The kernels copy the rows of a part; a longer one would ask the system for a large block each time.
        const MOST_ROWS: usize = 1024;
        let (m, k, n) = (lhs.rows, lhs.columns, rhs.columns);
        let by_rows = m >= n;
        let size = if by_rows { m } else { n };
        let uncut = Self { parts: 1, by_rows, length: size };
        let threads = if products >= num_threads() { 1 } else { num_threads() };
        let most = if by_rows { MOST_ROWS } else { size };
        if m * k * n < SHARED || threads == 1 && size <= most {
            return uncut;
        }
        let whole_tiles =
            |tile: usize| size.div_ceil(threads).next_multiple_of(tile.min(size / 2).max(1)).min(most);
        let candidates = TILES.into_iter().map(whole_tiles);
        let keeps_order = |cuts: &Self| cuts.keep_order(lhs, rhs);
        candidates.map(|length| Self::every(length, by_rows, size)).find(keeps_order).unwrap_or(uncut)
    }

    /// Cuts a product of this size along its rows or columns into parts of this length; the last may be shorter.
    fn every(length: usize, by_rows: bool, size: usize) -> Self {
        Self { parts: size.div_ceil(length), by_rows, length }
    }

    /// Whether the terms of every element are added up in one order, in a part as in the whole.
    fn keep_order<T: Copy>(&self, lhs: MatrixRef<T>, rhs: MatrixRef<T>) -> bool {
        let (m, n) = (lhs.rows, rhs.columns);
        let whole = Order::of(lhs, rhs, n);
        // All parts but the last have one size.
        [0, self.parts - 1].into_iter().all(|part| {
            let (rows, columns) = self.part(part, m, n);
            Order::of(lhs.of_rows(&rows), rhs.of_columns(&columns), n) == whole
        })
    }

    /// The rows and columns of a part.
    pub(crate) fn part(&self, part: usize, m: usize, n: usize) -> (Range<usize>, Range<usize>) {
        let cut = |size: usize| part * self.length..((part + 1) * self.length).min(size);
        if self.by_rows { (cut(m), 0..n) } else { (0..m, cut(n)) }
    }
}

/// The order in which `gemm` 0.19 adds up the terms of an element, as its choice of a kernel makes it. That depends on
/// the sizes, and on which neighbours lie side by side in memory: a row of a matrix may be treated in another way than
/// the matrix.
#[derive(Debug, PartialEq, Eq)]
struct Order {
    /// Whether each element may be one dot product, as far as the instruction set has it; otherwise, or if it
    /// has not, the kernel decides.
    dot: bool,
    kernel: Kernel,
}

#[derive(Debug, PartialEq, Eq)]
enum Kernel {
    /// At most two terms.
    Outer,
    /// A matrix times a vector, which adds up multiples of the columns.
    Columns,
    /// A matrix times a vector, one dot product after another.
    Rows,
    /// Tiles, terms in blocks of 512.
    SmallTiles,
    /// Tiles, terms in blocks of equal length.
    Tiles,
}

impl Order {
    /// The order for a product that is written into rows `row_stride` apart.
    fn of<T: Copy>(lhs: MatrixRef<T>, rhs: MatrixRef<T>, row_stride: usize) -> Self {
        // A row-major result is the column-major result of the transposed product, with the operands exchanged.
        let turned = row_stride > 1;
        let (lhs, rhs) = if turned { (rhs.t(), lhs.t()) } else { (lhs, rhs) };
        let (m, k, n) = (lhs.rows, lhs.columns, rhs.columns);
        // Terms are taken in the order in which the left operand has them in memory.
        let backwards = lhs.column_stride < 0;
        let rhs_step = if backwards { -rhs.row_stride } else { rhs.row_stride };
        let adjacent_terms = lhs.column_stride.abs() == 1 && rhs_step == 1;
        let kernel = if k <= 2 {
            Kernel::Outer
        } else if n == 1 && lhs.row_stride == 1 || m == 1 && rhs.column_stride == 1 && !turned {
            Kernel::Columns
        } else if (n == 1 || m == 1) && adjacent_terms {
            Kernel::Rows
        } else if m <= 64 && n <= 64 && k > 512 {
            Kernel::SmallTiles
        } else {
            Kernel::Tiles
        };
        Self { dot: adjacent_terms && m * n <= 16 * 16, kernel }
    }
}

#[cfg(test)]
#[allow(unsafe_code, reason = "the product of a part, which only threads compute; see SAFETY")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::element::Float;
    use crate::kernels::matmul::product;

    /// Places of elements, by rows and by columns: row after row, column after column, either of them backwards, with
    /// gaps between, and all rows or all columns the same.
    fn strides() -> impl Strategy<Value = fn(usize, usize) -> [isize; 2]> {
        let layouts: [fn(usize, usize) -> [isize; 2]; 10] = [
            |_, columns| [columns as isize, 1],
            |rows, _| [1, rows as isize],
            |_, columns| [columns as isize, -1],
            |_, columns| [-(columns as isize), 1],
            |rows, _| [-1, rows as isize],
            |rows, _| [1, -(rows as isize)],
            |_, columns| [2 * columns as isize, 2],
            |rows, _| [3, 3 * rows as isize],
            |_, _| [0, 1],
            |_, _| [1, 0],
        ];
        prop::sample::select(layouts.to_vec())
    }

    fn matrix<T: Copy>(data: &[T], rows: usize, columns: usize, strides: [isize; 2]) -> MatrixRef<'_, T> {
        let [row_stride, column_stride] = strides;
        let reach = |size: usize, stride: isize| (size as isize - 1) * stride.min(0);
        let offset = (-reach(rows, row_stride) - reach(columns, column_stride)) as usize;
        let matrix = MatrixRef { data, offset, rows, columns, row_stride, column_stride };
        matrix.check_bounds();
        matrix
    }

    /// The elements of a product that is computed in these parts, as bits.
    fn in_parts<T: Float>(lhs: MatrixRef<T>, rhs: MatrixRef<T>, cuts: &Cuts) -> Vec<u64> {
        let (m, n) = (lhs.rows, rhs.columns);
        let mut out = vec![T::ZERO; m * n];
        for part in 0..cuts.parts {
            let (rows, columns) = cuts.part(part, m, n);
            let start = &mut out[rows.start * n + columns.start];
            // SAFETY: the part lies in the output, and both matrices in their data.
            unsafe { product(start, n, lhs.of_rows(&rows), rhs.of_columns(&columns), None) };
        }
        out.iter().map(|x| x.to_f64().to_bits()).collect()
    }

    fn sizes() -> impl Strategy<Value = [usize; 3]> {
        let size = || {
            prop_oneof![
                3 => 1..=4_usize,
                1 => 5..=70_usize,
                1 => prop::sample::select(vec![16, 17, 64, 65, 66, 128, 129, 257]),
            ]
        };
        let inner =
            prop_oneof![1..=4_usize, 5..=700_usize, prop::sample::select(vec![511, 512, 513, 1025, 1500])];
        (size(), inner, size()).prop_map(|(m, k, n)| [m, k, n])
    }

    fn keeps_bits<T: Float>(
        [m, k, n]: [usize; 3],
        lhs: [isize; 2],
        rhs: [isize; 2],
        by_rows: bool,
        lengths: &[prop::sample::Index],
    ) -> Result<(), TestCaseError> {
        // Not even the sums of two of them are exact.
        let data: Vec<T> =
            (0..3 * k * m.max(n)).map(|i| T::from_f64((i as f64 * 0.618_033_988_7).fract() - 0.5)).collect();
        let (lhs, rhs) = (matrix(&data, m, k, lhs), matrix(&data, k, n, rhs));
        let size = if by_rows { m } else { n };
        let whole = in_parts(lhs, rhs, &Cuts::every(size, by_rows, size));
        for length in lengths {
            let cuts = Cuts::every(length.index(size) + 1, by_rows, size);
            if cuts.keep_order(lhs, rhs) {
                prop_assert!(
                    in_parts(lhs, rhs, &cuts) == whole,
                    "parts of {}, by rows: {by_rows}",
                    cuts.length
                );
            }
        }
        Ok(())
    }

    proptest! {
        /// Wherever it may be cut, a product in parts has the bits of the whole.
        #[test]
        fn parts_have_the_bits_of_the_whole(
            sizes in sizes(),
            lhs in strides(),
            rhs in strides(),
            by_rows: bool,
            lengths in prop::collection::vec(any::<prop::sample::Index>(), 6),
        ) {
            let [m, k, n] = sizes;
            keeps_bits::<f32>(sizes, lhs(m, k), rhs(k, n), by_rows, &lengths)?;
            keeps_bits::<f64>(sizes, lhs(m, k), rhs(k, n), by_rows, &lengths)?;
        }
    }
}
