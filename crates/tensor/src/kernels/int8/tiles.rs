//! Tiles of sums: some rows of the left matrix times the columns of one panel, for each instruction set.
//!
//! Terms are taken four at a time, as the instruction VPDPBUSD does. The other instruction sets multiply 16-bit integers,
//! whose products never overflow a sum of two. The instruction for 8 bits, VPMADDUBSW, cuts sums off, unless one factor has 7 bits.

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::*;
#[cfg(target_arch = "x86_64")]
#[allow(clippy::wildcard_imports, reason = "a dozen instructions with telling names")]
use std::arch::x86_64::*;

use super::{PANEL, QUAD};

/// The columns of half a panel, a tile of 16-bit integers.
pub(super) const HALF: usize = PANEL / 2;

/// The rows of one tile.
pub(super) struct Rows<A> {
    /// The first row of the left matrix.
    pub(super) first: *const A,
    /// The distance between rows.
    pub(super) stride: usize,
    /// The number of quads of terms.
    pub(super) quads: usize,
    /// The first place of the result.
    pub(super) out: *mut i32,
    /// The distance between rows of the result.
    pub(super) out_stride: usize,
}

/// `R` rows times half a panel, in plain code.
///
/// # Safety
/// All rows must be readable, with `QUAD` numbers a quad; `panel` has `HALF * QUAD` numbers a quad, `start` has `HALF`, and
/// `HALF` places of each row of the result are writable.
#[inline(always)]
pub(super) unsafe fn portable<const R: usize>(rows: &Rows<i16>, panel: *const i16, start: *const i32) {
    for row in 0..R {
        let mut sums = [0_i32; HALF];
        for quad in 0..rows.quads {
            // SAFETY: the caller's promise.
            let (x, w) = unsafe {
                let x =
                    rows.first.add(row * rows.stride + quad * QUAD).cast::<[i16; QUAD]>().read_unaligned();
                (x, panel.add(quad * HALF * QUAD).cast::<[[i16; QUAD]; HALF]>().read_unaligned())
            };
            for (sum, w) in sums.iter_mut().zip(w) {
                for (x, w) in x.into_iter().zip(w) {
                    *sum = sum.wrapping_add(i32::from(x) * i32::from(w));
                }
            }
        }
        for (column, sum) in sums.into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe {
                *rows.out.add(row * rows.out_stride + column) = sum.wrapping_add(*start.add(column));
            }
        }
    }
}

/// [`portable`] with VPMADDWD: sixteen products an instruction, added up in pairs.
///
/// # Safety
/// As [`portable`], on a machine with AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn avx2<const R: usize>(rows: &Rows<i16>, panel: *const i16, start: *const i32) {
    let mut sums = [[_mm256_setzero_si256(); 2]; R];
    for quad in 0..rows.quads {
        // SAFETY: the caller's promise.
        let w =
            [0, 16].map(|half| unsafe { _mm256_loadu_si256(panel.add(quad * HALF * QUAD + half).cast()) });
        for (row, sums) in sums.iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            let x = unsafe { rows.first.add(row * rows.stride + quad * QUAD).cast::<i64>().read_unaligned() };
            let x = _mm256_set1_epi64x(x);
            sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(x, w[0]));
            sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(x, w[1]));
        }
    }
    for (row, sums) in sums.into_iter().enumerate() {
        // Each column has two sums, side by side.
        let columns = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_hadd_epi32(sums[0], sums[1]));
        // SAFETY: the caller's promise.
        unsafe {
            let start = _mm256_loadu_si256(start.cast());
            let out = rows.out.add(row * rows.out_stride);
            _mm256_storeu_si256(out.cast(), _mm256_add_epi32(columns, start));
        }
    }
}

/// `R` rows of bytes up to 127 times a whole panel, with VPMADDUBSW: a sum of two products is 127 * 128 * 2 at most, which 16 bits
/// hold.
///
/// # Safety
/// As [`portable`], with `PANEL` in place of `HALF`, on a machine with AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn avx2_low<const R: usize>(rows: &Rows<u8>, panel: *const i8, start: *const i32) {
    let one = _mm256_set1_epi16(1);
    // SAFETY: the caller's promise.
    let mut sums = [[0, 8].map(|half| unsafe { _mm256_loadu_si256(start.add(half).cast()) }); R];
    for quad in 0..rows.quads {
        // SAFETY: the caller's promise.
        let w =
            [0, 32].map(|half| unsafe { _mm256_loadu_si256(panel.add(quad * PANEL * QUAD + half).cast()) });
        for (row, sums) in sums.iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            let x = unsafe { rows.first.add(row * rows.stride + quad * QUAD).cast::<i32>().read_unaligned() };
            let x = _mm256_set1_epi32(x);
            sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(_mm256_maddubs_epi16(x, w[0]), one));
            sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(_mm256_maddubs_epi16(x, w[1]), one));
        }
    }
    for (row, sums) in sums.into_iter().enumerate() {
        for (half, sum) in [0, 8].into_iter().zip(sums) {
            // SAFETY: the caller's promise.
            unsafe { _mm256_storeu_si256(rows.out.add(row * rows.out_stride + half).cast(), sum) };
        }
    }
}

/// `R` rows of bytes times a whole panel: VPDPBUSD multiplies four bytes without a sign by four with one, and adds all
/// products to a sum of 32 bits.
///
/// # Safety
/// As [`portable`], with `PANEL` in place of `HALF`, on a machine with AVX-512 VNNI.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) unsafe fn vnni<const R: usize>(rows: &Rows<u8>, panel: *const i8, start: *const i32) {
    // SAFETY: the caller's promise.
    let mut sums = [unsafe { _mm512_loadu_si512(start.cast()) }; R];
    for quad in 0..rows.quads {
        // SAFETY: the caller's promise.
        let w = unsafe { _mm512_loadu_si512(panel.add(quad * PANEL * QUAD).cast()) };
        for (row, sum) in sums.iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            let x = unsafe { rows.first.add(row * rows.stride + quad * QUAD).cast::<i32>().read_unaligned() };
            *sum = _mm512_dpbusd_epi32(*sum, _mm512_set1_epi32(x), w);
        }
    }
    for (row, sum) in sums.into_iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe { _mm512_storeu_si512(rows.out.add(row * rows.out_stride).cast(), sum) };
    }
}

/// [`portable`] with SMLAL: four products an instruction, each added to a sum of its own.
///
/// # Safety
/// As [`portable`]; every 64-bit Arm processor has NEON.
#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
pub(super) unsafe fn neon<const R: usize>(rows: &Rows<i16>, panel: *const i16, start: *const i32) {
    let mut sums = [[vdupq_n_s32(0); HALF]; R];
    for quad in 0..rows.quads {
        for (row, sums) in sums.iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            let x = unsafe { vld1_s16(rows.first.add(row * rows.stride + quad * QUAD)) };
            for (column, sum) in sums.iter_mut().enumerate() {
                // SAFETY: the caller's promise.
                let w = unsafe { vld1_s16(panel.add((quad * HALF + column) * QUAD)) };
                *sum = vmlal_s16(*sum, x, w);
            }
        }
    }
    for (row, sums) in sums.into_iter().enumerate() {
        for (column, sum) in sums.into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe {
                let sum = vaddvq_s32(sum).wrapping_add(*start.add(column));
                *rows.out.add(row * rows.out_stride + column) = sum;
            }
        }
    }
}
