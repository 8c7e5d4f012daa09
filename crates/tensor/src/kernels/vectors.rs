//! Vectors as wide as the registers of the instruction set in use, for loops that keep their sums in registers.
//!
//! A loop over an array is enough for most; LLVM makes vectors of it. But for tiles of sums that fill all
//! registers it does not find them.

#![allow(unsafe_code, reason = "vector instructions and loads from pointers; see SAFETY")]

#[cfg(target_arch = "x86_64")]
#[allow(
    clippy::wildcard_imports,
    reason = "two dozen instructions, whose names say where they are from"
)]
use std::arch::x86_64::*;
#[cfg(target_arch = "x86_64")]
use std::marker::PhantomData;

use super::simd::InstructionSet;
use crate::element::Float;

/// As many elements as a register holds.
///
/// Where there is an instruction for it, a product and a sum are fused, as `gemm` does: without, the tiles of a
/// convolution take half as long again (80 in place of 118 GFLOP/s of a core). So their results differ in the last
/// digits between instruction sets.
pub(super) trait Vector<T>: Copy {
    const LANES: usize;
    /// # Safety
    /// `LANES` elements must be readable there, and the machine must have the instructions.
    unsafe fn load(from: *const T) -> Self;
    /// One element in all lanes.
    ///
    /// # Safety
    /// The element must be readable, and the machine must have the instructions.
    unsafe fn splat(from: *const T) -> Self;
    /// # Safety
    /// `LANES` elements must be writable there, and the machine must have the instructions.
    unsafe fn store(self, to: *mut T);
    /// # Safety
    /// The machine must have the instructions.
    unsafe fn add(self, other: Self) -> Self;
    /// `self + x * y`, maybe rounded once.
    ///
    /// # Safety
    /// The machine must have the instructions.
    unsafe fn add_product(self, x: Self, y: Self) -> Self;
}

/// What every processor has: LLVM makes registers of it.
impl<T: Float> Vector<T> for [T; 4] {
    const LANES: usize = 4;
    #[inline(always)]
    unsafe fn load(from: *const T) -> Self {
        // SAFETY: the caller's promise.
        unsafe { from.cast::<Self>().read_unaligned() }
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
    unsafe fn add(self, other: Self) -> Self {
        [self[0] + other[0], self[1] + other[1], self[2] + other[2], self[3] + other[3]]
    }
    #[inline(always)]
    unsafe fn add_product(self, x: Self, y: Self) -> Self {
        [self[0] + x[0] * y[0], self[1] + x[1] * y[1], self[2] + x[2] * y[2], self[3] + x[3] * y[3]]
    }
}

/// A register of `f32` or `f64`, by the size of `T`.
#[cfg(target_arch = "x86_64")]
macro_rules! registers {
    ($name:ident, $register:ty, $bytes:literal, $load:ident, $store:ident, $splat:ident, $splat_double:ident,
     $add:ident, $add_double:ident, $fused:ident, $fused_double:ident, $to_double:ident, $from_double:ident) => {
        #[derive(Clone, Copy)]
        pub(super) struct $name<T>($register, PhantomData<T>);

        #[cfg(target_arch = "x86_64")]
        impl<T: Float> Vector<T> for $name<T> {
            const LANES: usize = $bytes / size_of::<T>();
            #[inline(always)]
            unsafe fn load(from: *const T) -> Self {
                // SAFETY: the caller's promise; the bits of a vector have no type.
                Self(unsafe { $load(from.cast()) }, PhantomData)
            }
            #[inline(always)]
            unsafe fn splat(from: *const T) -> Self {
                // SAFETY: the caller's promise; `T` is `f32` or `f64`, by its size.
                let register = unsafe {
                    if size_of::<T>() == 4 {
                        $splat(*from.cast::<f32>())
                    } else {
                        $from_double($splat_double(*from.cast::<f64>()))
                    }
                };
                Self(register, PhantomData)
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut T) {
                // SAFETY: the caller's promise.
                unsafe { $store(to.cast(), self.0) };
            }
            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                // SAFETY: the caller's promise.
                let register = unsafe {
                    if size_of::<T>() == 4 {
                        $add(self.0, other.0)
                    } else {
                        $from_double($add_double($to_double(self.0), $to_double(other.0)))
                    }
                };
                Self(register, PhantomData)
            }
            #[inline(always)]
            unsafe fn add_product(self, x: Self, y: Self) -> Self {
                // SAFETY: the caller's promise.
                let register = unsafe {
                    if size_of::<T>() == 4 {
                        $fused(x.0, y.0, self.0)
                    } else {
                        $from_double($fused_double($to_double(x.0), $to_double(y.0), $to_double(self.0)))
                    }
                };
                Self(register, PhantomData)
            }
        }
    };
}
#[cfg(target_arch = "x86_64")]
registers!(
    Avx512Vector,
    __m512,
    64,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_set1_ps,
    _mm512_set1_pd,
    _mm512_add_ps,
    _mm512_add_pd,
    _mm512_fmadd_ps,
    _mm512_fmadd_pd,
    _mm512_castps_pd,
    _mm512_castpd_ps
);
#[cfg(target_arch = "x86_64")]
registers!(
    Avx2Vector,
    __m256,
    32,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_set1_ps,
    _mm256_set1_pd,
    _mm256_add_ps,
    _mm256_add_pd,
    _mm256_fmadd_ps,
    _mm256_fmadd_pd,
    _mm256_castps_pd,
    _mm256_castpd_ps
);

/// The most lanes of a vector of any instruction set.
pub(super) const MOST_LANES: usize = 16;

/// A loop written for any vector.
pub(super) trait VectorLoop<T> {
    /// Must be `#[inline(always)]`, with all that it calls.
    ///
    /// # Safety
    /// The machine must have the instructions of the vector.
    unsafe fn run<V: Vector<T>>(self);
}

/// Runs a loop with the vectors of the instruction set in use.
pub(super) fn dispatch_vectors<T: Float>(kernel: impl VectorLoop<T>) {
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
fn avx512<T: Float>(kernel: impl VectorLoop<T>) {
    // SAFETY: this function is compiled for these instructions.
    unsafe { kernel.run::<Avx512Vector<T>>() };
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2<T: Float>(kernel: impl VectorLoop<T>) {
    // SAFETY: this function is compiled for these instructions.
    unsafe { kernel.run::<Avx2Vector<T>>() };
}

/// How many rows of sums two vectors wide fit the registers.
pub(super) fn most_rows() -> usize {
    match InstructionSet::current() {
        InstructionSet::Avx512 => 12,
        _ => 4,
    }
}
