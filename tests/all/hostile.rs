//! Files from strangers: headers that claim anything. The readers of `.npy`, `.npz` and safetensors read or refuse them
//! without a panic, and take no more memory than the bytes that are there account for.

use gradus::{State, Tensor, npy, npz};
use proptest::prelude::*;

use crate::tape::allocator::with_peak;

/// Reads a file with each reader.
///
/// A byte of a file becomes 8 bytes of a tensor at most, in a file that is in memory once or twice; a reader needs some
/// space of its own.
#[track_caller]
fn check(file: &[u8]) {
    let peaks = [
        ("npy", with_peak(|| npy::from_bytes(file).is_ok()).1),
        ("npz", with_peak(|| npz::from_bytes(file).is_ok()).1),
        ("safetensors", with_peak(|| State::from_bytes(file).is_ok()).1),
    ];
    for (name, peak) in peaks {
        let most = 10 * file.len() as isize + (1 << 20);
        assert!(peak <= most, "{name}: {peak} bytes were taken for a file of {}", file.len());
    }
}

/// Numbers next to the bounds at which sums, products and conversions overflow.
fn number() -> impl Strategy<Value = u64> {
    let edge = (0..64_u32, -2..=2_i64).prop_map(|(bits, more)| (1_u64 << bits).wrapping_add_signed(more));
    prop_oneof![0..200_u64, edge, any::<u64>()]
}

fn shape() -> impl Strategy<Value = String> {
    prop::collection::vec(number(), 0..5).prop_map(|sizes| format!("{sizes:?}"))
}

fn npy_file() -> impl Strategy<Value = Vec<u8>> {
    let types = prop::sample::select(vec!["<f8", "<f2", "|b1", "|u1", ">i4", "<u8", "|V8", "|S999999999999"]);
    let lengths = prop::option::of(any::<u32>());
    (types, shape(), 1..=3_u8, lengths, 0..300_usize).prop_map(|(descr, shape, version, length, data)| {
        let shape = shape.replace('[', "(").replace(']', ",)");
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}}}");
        let length = length.unwrap_or(header.len() as u32).to_le_bytes();
        let length = if version == 1 { &length[..2] } else { &length };
        [b"\x93NUMPY", &[version, 0][..], length, header.as_bytes(), &vec![1; data]].concat()
    })
}

fn safetensors_file() -> impl Strategy<Value = Vec<u8>> {
    let types = prop::sample::select(vec!["F64", "F16", "BF16", "BOOL", "U8", "I64", "F8_E4M3"]);
    let tensors = prop::collection::vec((types, shape(), number(), number()), 0..4);
    (tensors, prop::option::of(number()), 0..300_usize).prop_map(|(tensors, length, data)| {
        let entry = |(i, (dtype, shape, begin, end)): (usize, &(&str, String, u64, u64))| {
            format!("\"{i}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":[{begin},{end}]}}")
        };
        let entries: Vec<String> = tensors.iter().enumerate().map(entry).collect();
        let header = format!("{{{}}}", entries.join(","));
        let length = length.unwrap_or(header.len() as u64).to_le_bytes();
        [&length, header.as_bytes(), &vec![1; data]].concat()
    })
}

/// An archive in which some numbers of the directory or of a member's header are replaced.
fn npz_file() -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), number(), 1..=8_usize), 0..4);
    (changes, 0..60_usize).prop_map(|(changes, size)| {
        let array = Tensor::arange(0, size as i64, 1);
        let mut file = npz::to_bytes([("a", &array), ("b", &array)]).unwrap();
        for (place, number, width) in changes {
            // Near the start are the headers of members, near the end is the directory.
            let place = place.index(400);
            let place = if place < 200 { place } else { (file.len() + 200).saturating_sub(place) };
            let end = file.len().min(place + width);
            if place < end {
                file[place..end].copy_from_slice(&number.to_le_bytes()[..end - place]);
            }
        }
        file
    })
}

proptest! {
    #[test]
    fn headers_may_claim_anything(file in prop_oneof![npy_file(), npz_file(), safetensors_file()]) {
        check(&file);
    }

    #[test]
    fn bytes_may_be_anything(
        file in prop_oneof![npy_file(), npz_file(), safetensors_file()],
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut: prop::sample::Index,
    ) {
        let mut file = file;
        for (place, byte) in flips {
            if !file.is_empty() {
                let place = place.index(file.len());
                file[place] ^= byte;
            }
        }
        file.truncate(cut.index(file.len() + 1));
        check(&file);
    }
}

/// The bound holds where it is nearly reached: each byte of the file is an element of 8 bytes.
#[test]
fn memory_is_counted() {
    let header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (2000000,)}";
    let file = [b"\x93NUMPY\x01\0", &[header.len() as u8, 0][..], header, &vec![1; 2_000_000]].concat();
    let (array, peak) = with_peak(|| npy::from_bytes(&file).unwrap());
    assert_eq!(array.shape(), [2_000_000]);
    assert!(peak >= 16_000_000, "{peak}");
    check(&file);
}
