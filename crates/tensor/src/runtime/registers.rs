//! Vectors as wide as the registers of the instruction set in use, for loops that keep their sums in registers.
//!
//! A loop over an array is enough for most; LLVM makes vectors of it. But for tiles of sums that fill all
//! registers it does not find them.

#![allow(private_interfaces, reason = "nobody outside of this crate can name the traits")]
#![allow(unsafe_code, reason = "vector instructions and loads from pointers; see SAFETY")]

#[cfg(target_arch = "x86_64")]
#[allow(clippy::wildcard_imports, reason = "two dozen instructions with telling names")]
use std::arch::x86_64::*;
use std::ops::{Add, Mul};

#[cfg(target_arch = "x86_64")]
#[allow(clippy::wildcard_imports, reason = "the loads, stores and masks of all four registers")]
use super::first_lanes::*;
use super::simd::InstructionSet;

/// The elements that a register holds.
///
/// Where there is an instruction for it, a product and a sum are fused, as `gemm` does: without, the tiles of a
/// convolution take half as long again (80 in place of 118 GFLOP/s of a core). So their results differ in the last
/// digits between instruction sets.
pub trait Vector<T>: Copy {
    const LANES: usize;
    /// How many rows of sums two vectors wide fit the registers.
    const ROWS: usize;
    /// The first few of the lanes.
    type Mask: Copy;
    /// The first `count` lanes, at most all.
    ///
    /// # Safety
    /// The machine must have the instructions.
    unsafe fn first_lanes(count: usize) -> Self::Mask;
    /// # Safety
    /// `LANES` elements must be readable there, and the machine must have the instructions.
    unsafe fn load(from: *const T) -> Self;
    /// Elements in the first lanes, and 0 in the others.
    ///
    /// # Safety
    /// An element must be readable for each lane of the mask, and the machine must have the instructions.
    unsafe fn load_first(from: *const T, lanes: Self::Mask) -> Self;
    /// One element in all lanes.
    ///
    /// # Safety
    /// The element must be readable, and the machine must have the instructions.
    unsafe fn splat(from: *const T) -> Self;
    /// # Safety
    /// `LANES` elements must be writable there, and the machine must have the instructions.
    unsafe fn store(self, to: *mut T);
    /// Stores the lanes of a mask.
    ///
    /// # Safety
    /// An element must be writable for each lane of the mask, and the machine must have the instructions.
    unsafe fn store_first(self, to: *mut T, lanes: Self::Mask);
    /// # Safety
    /// The machine must have the instructions.
    unsafe fn add(self, other: Self) -> Self;
    /// # Safety
    /// The machine must have the instructions.
    unsafe fn mul(self, other: Self) -> Self;
    /// `self + x * y`, maybe rounded once.
    ///
    /// # Safety
    /// The machine must have the instructions.
    unsafe fn add_product(self, x: Self, y: Self) -> Self;
}

/// For every processor: LLVM makes registers of an array.
impl<T: Lane> Vector<T> for [T; 4] {
    const LANES: usize = 4;
    const ROWS: usize = 4;
    type Mask = usize;
    #[inline(always)]
    unsafe fn first_lanes(count: usize) -> usize {
        count
    }
    #[inline(always)]
    unsafe fn load(from: *const T) -> Self {
        // SAFETY: the caller's promise.
        unsafe { from.cast::<Self>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn load_first(from: *const T, count: usize) -> Self {
        // SAFETY: the caller's promise.
        std::array::from_fn(|lane| if lane < count { unsafe { *from.add(lane) } } else { T::default() })
    }
    #[inline(always)]
    unsafe fn splat(from: *const T) -> Self {
        // SAFETY: the caller's promise.
        [unsafe { *from }; 4]
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut T) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<Self>().write_unaligned(self) };
    }
    #[inline(always)]
    unsafe fn store_first(self, to: *mut T, count: usize) {
        // SAFETY: the caller's promise.
        unsafe { to.copy_from_nonoverlapping(self.as_ptr(), count) };
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        [self[0] + other[0], self[1] + other[1], self[2] + other[2], self[3] + other[3]]
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        [self[0] * other[0], self[1] * other[1], self[2] * other[2], self[3] * other[3]]
    }
    #[inline(always)]
    unsafe fn add_product(self, x: Self, y: Self) -> Self {
        [self[0] + x[0] * y[0], self[1] + x[1] * y[1], self[2] + x[2] * y[2], self[3] + x[3] * y[3]]
    }
}

/// A number that registers hold side by side, and the registers that do.
pub trait Lane: Copy + Default + Add<Output = Self> + Mul<Output = Self> + 'static {
    #[cfg(target_arch = "x86_64")]
    #[doc(hidden)]
    type Avx2: Vector<Self>;
    #[cfg(target_arch = "x86_64")]
    #[doc(hidden)]
    type Avx512: Vector<Self>;
}

#[cfg(not(target_arch = "x86_64"))]
impl Lane for f32 {}
#[cfg(not(target_arch = "x86_64"))]
impl Lane for f64 {}

#[cfg(target_arch = "x86_64")]
impl Lane for f32 {
    type Avx2 = __m256;
    type Avx512 = __m512;
}

#[cfg(target_arch = "x86_64")]
impl Lane for f64 {
    type Avx2 = __m256d;
    type Avx512 = __m512d;
}

/// A register and its instructions.
#[cfg(target_arch = "x86_64")]
macro_rules! registers {
    ($($register:ty: [$lane:ty; $lanes:literal], $rows:literal, $mask:ty, $first_lanes:ident, $load_first:ident,
       $store_first:ident, $load:ident, $store:ident, $splat:ident, $add:ident, $mul:ident, $fused:ident;)*) => {$(
        impl Vector<$lane> for $register {
            const LANES: usize = $lanes;
            const ROWS: usize = $rows;
            type Mask = $mask;
            #[inline(always)]
            unsafe fn first_lanes(count: usize) -> $mask {
                // SAFETY: the caller's promise.
                unsafe { $first_lanes(count) }
            }
            #[inline(always)]
            unsafe fn load_first(from: *const $lane, lanes: $mask) -> Self {
                // SAFETY: the caller's promise.
                unsafe { $load_first(from, lanes) }
            }
            #[inline(always)]
            unsafe fn load(from: *const $lane) -> Self {
                // SAFETY: the caller's promise.
                unsafe { $load(from) }
            }
            #[inline(always)]
            unsafe fn splat(from: *const $lane) -> Self {
                // SAFETY: the caller's promise.
                unsafe { $splat(*from) }
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $lane) {
                // SAFETY: the caller's promise.
                unsafe { $store(to, self) };
            }
            #[inline(always)]
            unsafe fn store_first(self, to: *mut $lane, lanes: $mask) {
                // SAFETY: the caller's promise.
                unsafe { $store_first(self, to, lanes) };
            }
            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                // SAFETY: the caller's promise.
                unsafe { $add(self, other) }
            }
            #[inline(always)]
            unsafe fn mul(self, other: Self) -> Self {
                // SAFETY: the caller's promise.
                unsafe { $mul(self, other) }
            }
            #[inline(always)]
            unsafe fn add_product(self, x: Self, y: Self) -> Self {
                // SAFETY: the caller's promise.
                unsafe { $fused(x, y, self) }
            }
        }
    )*};
}
#[cfg(target_arch = "x86_64")]
registers! {
    __m256: [f32; 8], 6, Avx2Lanes, avx2_lanes_f32, avx2_load_f32, avx2_store_f32,
        _mm256_loadu_ps, _mm256_storeu_ps, _mm256_set1_ps, _mm256_add_ps, _mm256_mul_ps, _mm256_fmadd_ps;
    __m256d: [f64; 4], 6, Avx2Lanes, avx2_lanes_f64, avx2_load_f64, avx2_store_f64,
        _mm256_loadu_pd, _mm256_storeu_pd, _mm256_set1_pd, _mm256_add_pd, _mm256_mul_pd, _mm256_fmadd_pd;
    __m512: [f32; 16], 12, __mmask16, avx512_lanes_f32, avx512_load_f32, avx512_store_f32,
        _mm512_loadu_ps, _mm512_storeu_ps, _mm512_set1_ps, _mm512_add_ps, _mm512_mul_ps, _mm512_fmadd_ps;
    __m512d: [f64; 8], 12, __mmask8, avx512_lanes_f64, avx512_load_f64, avx512_store_f64,
        _mm512_loadu_pd, _mm512_storeu_pd, _mm512_set1_pd, _mm512_add_pd, _mm512_mul_pd, _mm512_fmadd_pd;
}

/// The most lanes of a vector of any instruction set.
pub(crate) const MOST_LANES: usize = 16;

/// A loop written for any vector.
pub(crate) trait VectorLoop<T> {
    /// Must be `#[inline(always)]`, with all that it calls.
    ///
    /// # Safety
    /// The machine must have the instructions of the vector.
    unsafe fn run<V: Vector<T>>(self);
}

/// Runs a loop with the vectors of the instruction set in use.
pub(crate) fn dispatch_vectors<T: Lane>(kernel: impl VectorLoop<T>) {
    #[cfg(target_arch = "x86_64")]
    match InstructionSet::current() {
        // SAFETY: `select` allows no instruction set that the machine lacks.
        InstructionSet::Avx512 => return unsafe { avx512(kernel) },
        // SAFETY: as above.
        InstructionSet::Avx2 => return unsafe { avx2(kernel) },
        InstructionSet::Portable => {}
    }
    // SAFETY: arrays need no instructions of their own.
    unsafe { kernel.run::<[T; 4]>() };
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
fn avx512<T: Lane>(kernel: impl VectorLoop<T>) {
    // SAFETY: this function is compiled for these instructions.
    unsafe { kernel.run::<T::Avx512>() };
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2<T: Lane>(kernel: impl VectorLoop<T>) {
    // SAFETY: this function is compiled for these instructions.
    unsafe { kernel.run::<T::Avx2>() };
}

/// Transposes eight lines of eight numbers of four bytes: halves of lines are put together while they are loaded, so that
/// a result takes one more shuffle than it has neighbours.
///
/// # Safety
/// Eight numbers must be readable at each of eight places `stride` apart, and writable at eight places `row` apart; and
/// the machine must have AVX2.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) unsafe fn transpose_8x8(from: *const f32, stride: isize, to: *mut f32, row: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        for half in [0, 4] {
            let load = |line: isize| _mm_loadu_ps(from.wrapping_offset(line * stride).wrapping_add(half));
            let pair = |line: isize| _mm256_set_m128(load(line + 4), load(line));
            let (a, b, c, d) = (pair(0), pair(1), pair(2), pair(3));
            let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
            let to = to.add(half * row);
            _mm256_storeu_ps(to, _mm256_shuffle_ps::<0b01_00_01_00>(ab, cd));
            _mm256_storeu_ps(to.add(row), _mm256_shuffle_ps::<0b11_10_11_10>(ab, cd));
            let (ab, cd) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
            _mm256_storeu_ps(to.add(2 * row), _mm256_shuffle_ps::<0b01_00_01_00>(ab, cd));
            _mm256_storeu_ps(to.add(3 * row), _mm256_shuffle_ps::<0b11_10_11_10>(ab, cd));
        }
    }
}

/// [`Vector::ROWS`] of the instruction set in use.
pub(crate) fn most_rows() -> usize {
    match InstructionSet::current() {
        InstructionSet::Avx512 => 12,
        InstructionSet::Avx2 => 6,
        InstructionSet::Portable => 4,
    }
}
