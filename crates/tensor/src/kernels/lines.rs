//! Lines: elements of an operand side by side, for loops over several operands.

#![allow(unsafe_code, reason = "copies are made in memory that is not initialised; see SAFETY")]

use std::mem::MaybeUninit;

use crate::element::Element;
use crate::kernels::runs::at;

/// The most elements that are lined up at once.
pub(crate) const LINE: usize = 512;

/// The elements of an operand along a run, side by side: as they lie, or else copied.
pub(crate) struct Line<'a, T> {
    elements: &'a [T],
    stride: isize,
    copies: [MaybeUninit<T>; LINE],
    /// If the operand repeats one element: which, and how many copies there are of it.
    repeated: (usize, usize),
}

impl<'a, T: Element> Line<'a, T> {
    pub(crate) fn new(elements: &'a [T], stride: isize) -> Self {
        Self { elements, stride, copies: [MaybeUninit::uninit(); LINE], repeated: (0, 0) }
    }

    /// `length` elements, at most [`LINE`], of the run that starts at `start`, from number `from` on.
    pub(crate) fn get(&mut self, start: usize, from: usize, length: usize) -> &[T] {
        let copies = &mut self.copies[..length];
        match self.stride {
            1 => return &self.elements[start + from..start + from + length],
            0 if self.repeated.0 == start && length <= self.repeated.1 => {}
            0 => {
                copies.fill(MaybeUninit::new(self.elements[start]));
                self.repeated = (start, length);
            }
            stride => {
                for (i, copy) in copies.iter_mut().enumerate() {
                    copy.write(self.elements[at(start, from + i, stride)]);
                }
            }
        }
        // SAFETY: this number of copies was written, now or, if one is repeated, before.
        unsafe { std::slice::from_raw_parts(self.copies.as_ptr().cast(), length) }
    }
}
