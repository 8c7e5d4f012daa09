//! The first lanes of a register, to load and to store the rest of a row.

#![allow(unsafe_code, reason = "vector instructions, loads and stores through pointers; see SAFETY")]

#[allow(clippy::wildcard_imports, reason = "two dozen instructions with telling names")]
use std::arch::x86_64::*;

/// The first lanes for AVX2.
#[derive(Clone, Copy)]
pub struct Avx2Lanes {
    /// The lanes have all bits set.
    mask: __m256i,
    /// For stores in pieces.
    count: usize,
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn avx2_lanes_f32(count: usize) -> Avx2Lanes {
    let numbers = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    Avx2Lanes { mask: _mm256_cmpgt_epi32(_mm256_set1_epi32(count as i32), numbers), count }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn avx2_lanes_f64(count: usize) -> Avx2Lanes {
    let numbers = _mm256_setr_epi64x(0, 1, 2, 3);
    Avx2Lanes { mask: _mm256_cmpgt_epi64(_mm256_set1_epi64x(count as i64), numbers), count }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn avx2_load_f32(from: *const f32, lanes: Avx2Lanes) -> __m256 {
    // SAFETY: the caller's promise.
    unsafe { _mm256_maskload_ps(from, lanes.mask) }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn avx2_load_f64(from: *const f64, lanes: Avx2Lanes) -> __m256d {
    // SAFETY: the caller's promise.
    unsafe { _mm256_maskload_pd(from, lanes.mask) }
}

/// A bit for each lane.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn avx512_lanes_f32(count: usize) -> __mmask16 {
    ((1_u32 << count) - 1) as __mmask16
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn avx512_lanes_f64(count: usize) -> __mmask8 {
    ((1_u32 << count) - 1) as __mmask8
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn avx512_load_f32(from: *const f32, lanes: __mmask16) -> __m512 {
    // SAFETY: the caller's promise.
    unsafe { _mm512_maskz_loadu_ps(lanes, from) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn avx512_load_f64(from: *const f64, lanes: __mmask8) -> __m512d {
    // SAFETY: the caller's promise.
    unsafe { _mm512_maskz_loadu_pd(lanes, from) }
}

/// A masked store is slow on some processors: pieces of 4, 2 and 1.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn avx2_store_f32(vector: __m256, to: *mut f32, Avx2Lanes { count, .. }: Avx2Lanes) {
    // SAFETY: the caller's promise.
    unsafe {
        if count >= 8 {
            return _mm256_storeu_ps(to, vector);
        }
        let (mut rest, mut to) = (_mm256_castps256_ps128(vector), to);
        if count >= 4 {
            _mm_storeu_ps(to, rest);
            (rest, to) = (_mm256_extractf128_ps::<1>(vector), to.add(4));
        }
        if count & 2 != 0 {
            _mm_storel_epi64(to.cast(), _mm_castps_si128(rest));
            (rest, to) = (_mm_movehl_ps(rest, rest), to.add(2));
        }
        if count & 1 != 0 {
            *to = _mm_cvtss_f32(rest);
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn avx2_store_f64(vector: __m256d, to: *mut f64, Avx2Lanes { count, .. }: Avx2Lanes) {
    // SAFETY: the caller's promise.
    unsafe {
        if count >= 4 {
            return _mm256_storeu_pd(to, vector);
        }
        let (mut rest, mut to) = (_mm256_castpd256_pd128(vector), to);
        if count >= 2 {
            _mm_storeu_pd(to, rest);
            (rest, to) = (_mm256_extractf128_pd::<1>(vector), to.add(2));
        }
        if count & 1 != 0 {
            *to = _mm_cvtsd_f64(rest);
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn avx512_store_f32(vector: __m512, to: *mut f32, lanes: __mmask16) {
    // SAFETY: the caller's promise.
    unsafe { _mm512_mask_storeu_ps(to, lanes, vector) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn avx512_store_f64(vector: __m512d, to: *mut f64, lanes: __mmask8) {
    // SAFETY: the caller's promise.
    unsafe { _mm512_mask_storeu_pd(to, lanes, vector) }
}
