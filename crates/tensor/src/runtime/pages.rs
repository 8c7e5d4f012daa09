//! Pages of the system beneath large blocks.

#![allow(unsafe_code, reason = "the system is asked; see SAFETY")]

/// The size of a huge page, where there are some.
pub(super) const HUGE: usize = 2 << 20;

/// Asks for huge pages under a large block: with small ones, a walk through it spends its time on looking up
/// where they are. The system may decline.
#[cfg(target_os = "linux")]
pub(super) fn advise(block: *mut u8, bytes: usize) {
    unsafe extern "C" {
        fn madvise(address: *mut std::ffi::c_void, length: usize, advice: std::ffi::c_int)
        -> std::ffi::c_int;
    }
    const MADV_HUGEPAGE: std::ffi::c_int = 14;
    if bytes >= HUGE {
        // SAFETY: the pages belong to a block just allocated, and begin where it begins; the advice changes
        // neither their contents nor what may be done with them, and that it may fail does not matter.
        unsafe { madvise(block.cast(), bytes, MADV_HUGEPAGE) };
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn advise(_block: *mut u8, _bytes: usize) {}
