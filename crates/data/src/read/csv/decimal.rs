//! Numbers from their digits, to the bit as `str::parse` has them.

use gradus_autograd::Float;

/// The powers of ten that `f64` has without rounding.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// For each power of five that 64 bits have, its reciprocal: 64 bits, rounded down, and the power of two by which they are
/// to be divided.
const RECIPROCALS: [(u64, i32); 28] = {
    let (mut table, mut power, mut k) = ([(1 << 63, 63); 28], 1_u128, 1);
    while k < table.len() {
        power *= 5;
        let shift = 191 - power.leading_zeros() as i32;
        table[k] = (((1 << shift) / power) as u64, shift);
        k += 1;
    }
    table
};

/// The number in a cell of digits, perhaps with a sign before and a decimal mark among them. Nothing if the cell has other
/// bytes, more than 19 digits, or a number too near to the middle between two floats to be rounded here.
#[inline]
pub(super) fn decimal<T: Float>(cell: &[u8], mark: u8) -> Option<T> {
    // A mark that is part of numbers makes other ones of them.
    if !matches!(mark, b'.' | b',') {
        return None;
    }
    // Signs are as random as the digits are: branches would be.
    let first = *cell.first()?;
    let unsigned = &cell[usize::from(matches!(first, b'+' | b'-'))..];
    let whole = unsigned.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(unsigned.len());
    let (whole, rest) = unsigned.split_at(whole);
    let fraction = match rest {
        [first, fraction @ ..] if *first == mark => fraction,
        [] => rest,
        _ => return None,
    };
    let count = whole.len() + fraction.len();
    // 64 bits have all numbers of 19 digits.
    if count == 0 || count > 19 && count - zeros(unsigned, mark) > 19 {
        return None;
    }
    let number: T = quotient(digits(digits(0, whole)?, fraction)?, fraction.len())?;
    Some(number * T::from_f64([1.0, -1.0][usize::from(first == b'-')]))
}

/// The number of zeros before the first other digit.
#[cold]
fn zeros(digits: &[u8], mark: u8) -> usize {
    digits.iter().filter(|&&byte| byte != mark).take_while(|&&byte| byte == b'0').count()
}

/// A number that goes on with some digits, modulo 2^64; nothing if there is another byte among them.
#[inline]
fn digits(number: u64, bytes: &[u8]) -> Option<u64> {
    let append = |number: u64, bytes: &[u8]| {
        bytes.iter().try_fold(number, |number, byte| {
            byte.is_ascii_digit().then(|| number.wrapping_mul(10).wrapping_add(u64::from(byte - b'0')))
        })
    };
    let Some(last) = bytes.last_chunk() else { return append(number, bytes) };
    let (eights, rest) = bytes.as_chunks();
    let number = eights.iter().try_fold(number, |number, &eight| {
        Some(number.wrapping_mul(100_000_000).wrapping_add(joined(digits_of(eight)?)))
    })?;
    // The digits that are left are the last of the last eight; without a branch, as their number changes from cell to cell.
    let mask = u64::MAX << 8 << (8 * (7 - rest.len()));
    let tail = joined(digits_of(*last)? & mask);
    Some(number.wrapping_mul(TENS[rest.len()]).wrapping_add(tail))
}

const TENS: [u64; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];

/// Eight digits, each in its byte, the first in the lowest.
#[inline]
fn digits_of(bytes: [u8; 8]) -> Option<u64> {
    let word = u64::from_le_bytes(bytes) ^ 0x3030_3030_3030_3030;
    let over_nine = word | word.wrapping_add(0x7676_7676_7676_7676);
    (over_nine & 0x8080_8080_8080_8080 == 0).then_some(word)
}

/// Eight digits as a number: joined to numbers of two digits, of four, of eight, side by side in the word.
#[inline]
fn joined(digits: u64) -> u64 {
    let twos = (digits.wrapping_mul(10) + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (twos.wrapping_mul(100) + (twos >> 16)) & 0x0000_ffff_0000_ffff;
    (fours.wrapping_mul(10_000) + (fours >> 32)) & 0xffff_ffff
}

/// `digits / 10^places` as the nearest number, if it is found fast.
///
/// A product with a reciprocal of 64 bits is less than 2 units of its upper half too small (after D. Lemire, "Number parsing
/// at a gigabyte per second", 2021): enough, unless the bits that are rounded away are almost exactly nothing, a half or a
/// whole. Few digits are, and are an exact number, divided by another one (W. Clinger, "How to read floating point numbers
/// accurately", 1990).
#[inline]
fn quotient<T: Float>(digits: u64, places: usize) -> Option<T> {
    let (precision, exact_places) = if size_of::<T>() == 4 { (24, 10) } else { (53, 22) };
    let &(reciprocal, shift) = RECIPROCALS.get(places)?;
    let zeros = digits.leading_zeros() % 64;
    let product = ((u128::from(digits << zeros) * u128::from(reciprocal)) >> 64) as u64;
    let dropped = 11 + 53 - precision - product.leading_zeros() % 64;
    let half = 1 << (dropped - 1);
    if (1..half - 1).contains(&(product & (half - 1))) {
        let rounded = (product >> (dropped - 1)).div_ceil(2);
        let exponent = dropped as i32 + 64 - shift - zeros as i32 - places as i32;
        let power = f64::from_bits(((1023 + exponent) as u64) << 52);
        return Some(T::from_f64(rounded as f64 * power));
    }
    let exact = digits < 1 << precision && places <= exact_places;
    exact.then(|| T::from_f64(digits as f64) / T::from_f64(POWERS[places]))
}
