//! One text of a loop, compiled for several instruction sets, chosen when it runs.
//!
//! All of them give the same bits: nothing here fuses a multiplication with an addition unasked (but see `registers`).

#![allow(unsafe_code, reason = "a function compiled for more instructions is unsafe to call; see SAFETY")]

use std::sync::atomic::{AtomicU8, Ordering};

/// The instructions that gradus's own loops are compiled for.
///
/// Results are the same to the last bit, whichever it is, with two exceptions: matrix products choose their
/// instructions by themselves, and convolutions fuse products and sums where there is an instruction for it.
///
/// ```
/// use gradus_tensor::{InstructionSet, Tensor};
///
/// let best = InstructionSet::current();
/// let x = Tensor::linspace(-5.0_f32, 5.0, 1000);
/// let y = x.exp();
/// InstructionSet::Portable.select();
/// assert_eq!(x.exp(), y);
/// best.select();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum InstructionSet {
    /// The instructions of every processor of the target: SSE2 on `x86_64`, NEON on `aarch64`.
    Portable = 1,
    /// 256 bits at once, on `x86_64`.
    Avx2,
    /// 512 bits at once, on `x86_64`.
    Avx512,
}

/// 0 until it is first asked for.
static CURRENT: AtomicU8 = AtomicU8::new(0);

impl InstructionSet {
    /// The one in use, at first the best that this machine has; the environment variable
    /// `GRADUS_INSTRUCTION_SET` (`portable`, `avx2`, `avx512`) can ask for less.
    #[inline]
    pub fn current() -> Self {
        match CURRENT.load(Ordering::Relaxed) {
            1 => Self::Portable,
            2 => Self::Avx2,
            3 => Self::Avx512,
            _ => Self::initial(),
        }
    }

    /// Uses these instructions from now on, on all threads, or the best of fewer where the machine lacks them.
    ///
    /// ```
    /// use gradus_tensor::InstructionSet;
    ///
    /// let before = InstructionSet::current();
    /// InstructionSet::Portable.select();
    /// assert_eq!(InstructionSet::current(), InstructionSet::Portable);
    /// before.select();
    /// ```
    pub fn select(self) {
        CURRENT.store(self.min(Self::detect()) as u8, Ordering::Relaxed);
    }

    #[cold]
    fn initial() -> Self {
        let asked = std::env::var("GRADUS_INSTRUCTION_SET").map(|name| name.to_lowercase());
        let limit = match asked.as_deref() {
            Ok("portable") => Self::Portable,
            Ok("avx2") => Self::Avx2,
            _ => Self::Avx512,
        };
        limit.select();
        Self::current()
    }

    #[cfg(target_arch = "x86_64")]
    fn detect() -> Self {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl");
        match (avx2, avx512) {
            (true, true) => Self::Avx512,
            (true, false) => Self::Avx2,
            _ => Self::Portable,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn detect() -> Self {
        Self::Portable
    }
}

/// Runs a loop compiled for the instruction set in use.
///
/// Everything in the loop must be inlined into it: closures are written `#[inline(always)] || ...` where
/// they are passed.
#[inline]
pub(crate) fn dispatch<R>(kernel: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    match InstructionSet::current() {
        // SAFETY: `select` allows no instruction set that the machine lacks.
        InstructionSet::Avx512 => unsafe { avx512(kernel) },
        // SAFETY: as above.
        InstructionSet::Avx2 => unsafe { avx2(kernel) },
        InstructionSet::Portable => portable(kernel),
    }
    #[cfg(not(target_arch = "x86_64"))]
    kernel()
}

/// [`dispatch`] for loops over functions such as e^x: for `f64` these are calls, one number after another.
#[inline]
pub(crate) fn dispatch_functions<T, R>(kernel: impl FnOnce() -> R) -> R {
    if const { size_of::<T>() > 4 } { kernel() } else { dispatch(kernel) }
}

/// [`dispatch`] with vectors of at most 256 bits, for loops that wait for the memory anyway.
#[inline]
pub(crate) fn dispatch_narrow<R>(kernel: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    if InstructionSet::current() >= InstructionSet::Avx2 {
        // SAFETY: `select` allows no instruction set that the machine lacks.
        return unsafe { avx2(kernel) };
    }
    kernel()
}

/// Kept out of [`dispatch`], which is inlined in many places and should be short.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
fn portable<R>(kernel: impl FnOnce() -> R) -> R {
    kernel()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
fn avx512<R>(kernel: impl FnOnce() -> R) -> R {
    kernel()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2<R>(kernel: impl FnOnce() -> R) -> R {
    kernel()
}
