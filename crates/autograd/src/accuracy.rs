//! How accurate the functions are: the largest errors of values, first and second derivatives, in units of the last
//! place.
//!
#![doc = include_str!("accuracy.md")]
