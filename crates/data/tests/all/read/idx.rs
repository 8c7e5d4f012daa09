//! IDX files of all types; damaged ones are refused.

use gradus_autograd::Tensor;
use gradus_data::read::{ReadError, idx};
use proptest::prelude::*;

use super::{Folder, message};

/// A file: type, sizes and the bytes of the elements.
fn file(kind: u8, shape: &[u32], data: &[u8]) -> Vec<u8> {
    let sizes = shape.iter().flat_map(|size| size.to_be_bytes());
    [0, 0, kind, shape.len() as u8].into_iter().chain(sizes).chain(data.iter().copied()).collect()
}

/// The bytes of elements from the bits of numbers, and the numbers that a reader should find in them.
fn elements(kind: u8, bits: &[u64]) -> (Vec<u8>, Vec<f64>) {
    fn all<const N: usize>(bits: &[u64], element: impl Fn(u64) -> ([u8; N], f64)) -> (Vec<u8>, Vec<f64>) {
        let (bytes, numbers): (Vec<_>, Vec<_>) = bits.iter().map(|&bits| element(bits)).unzip();
        (bytes.concat(), numbers)
    }
    match kind {
        0x08 => all(bits, |x| ((x as u8).to_be_bytes(), (x as u8).into())),
        0x09 => all(bits, |x| ((x as i8).to_be_bytes(), (x as i8).into())),
        0x0b => all(bits, |x| ((x as i16).to_be_bytes(), (x as i16).into())),
        0x0c => all(bits, |x| ((x as i32).to_be_bytes(), (x as i32).into())),
        0x0d => all(bits, |x| (f32::from_bits(x as u32).to_be_bytes(), f32::from_bits(x as u32).into())),
        _ => all(bits, |x| (f64::from_bits(x).to_be_bytes(), f64::from_bits(x))),
    }
}

const KINDS: [u8; 6] = [0x08, 0x09, 0x0b, 0x0c, 0x0d, 0x0e];

proptest! {
    #[test]
    fn all_types_are_read(
        shape in prop::collection::vec(0..4_u32, 0..4), bits in prop::collection::vec(any::<u64>(), 27),
        kind in prop::sample::select(KINDS.to_vec()),
    ) {
        let (data, numbers) = elements(kind, &bits[..shape.iter().product::<u32>() as usize]);
        let file = file(kind, &shape, &data);
        let tensor = idx::from_bytes::<f64>(&file).unwrap();
        prop_assert_eq!(tensor.shape(), shape.iter().map(|&size| size as usize).collect::<Vec<_>>());
        let same = |(a, b): (f64, &f64)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
        prop_assert!(tensor.iter().zip(&numbers).all(same));
        let rounded = idx::from_bytes::<f32>(&file).unwrap();
        prop_assert!(rounded.iter().zip(&numbers).all(|(a, &b)| a == b as f32 || a.is_nan() && b.is_nan()));
        match idx::from_bytes::<i64>(&file) {
            Ok(integers) => prop_assert!(integers.iter().zip(&numbers).all(|(a, &b)| a as f64 == b)),
            Err(_) => prop_assert!(kind >= 0x0d),
        }
        #[cfg(feature = "gzip")]
        prop_assert_eq!(bits_of(&idx::from_bytes(&super::gzip(&file)).unwrap()), bits_of(&tensor));
    }

    #[test]
    fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..64), head in 0..3) {
        if head > 0 && bytes.len() > 4 {
            let magic = [0, 0, KINDS[usize::from(bytes[2]) % 6], bytes[3] % 4];
            bytes[..4].copy_from_slice(&magic);
        }
        if head > 1 {
            for size in bytes.iter_mut().skip(4).take(12) {
                *size = u8::from(*size > 200);
            }
        }
        let _ = (idx::from_bytes::<f32>(&bytes), idx::from_bytes::<i64>(&bytes));
        let _ = idx::from_bytes::<f32>(&[&[0x1f, 0x8b], bytes.as_slice()].concat());
    }

    /// Whatever is cut off or appended.
    #[test]
    fn other_lengths_are_refused(cut in 0..30_usize, more in 1..5_usize) {
        let whole = file(0x0b, &[2, 3], &[1; 12]);
        prop_assume!(cut < whole.len());
        prop_assert!(idx::from_bytes::<f32>(&whole).is_ok());
        prop_assert!(idx::from_bytes::<f32>(&whole[..cut]).is_err());
        prop_assert!(idx::from_bytes::<f32>(&[&whole, vec![0; more].as_slice()].concat()).is_err());
    }
}

#[cfg(feature = "gzip")]
fn bits_of(tensor: &Tensor<f64>) -> Vec<u64> {
    tensor.iter().map(f64::to_bits).collect()
}

#[test]
fn messages() {
    let fault = |bytes: &[u8]| idx::from_bytes::<i64>(bytes).unwrap_err().to_string();
    assert_eq!(
        fault(b"PK\x03\x04"),
        "read: an IDX file begins with two bytes 0, a type and a number of axes; here are [80, 75, 3, 4]"
    );
    assert_eq!(
        fault(b""),
        "read: an IDX file begins with two bytes 0, a type and a number of axes; here are []"
    );
    assert_eq!(
        fault(&[0, 0, 10, 1]),
        "read: byte 2: elements of type 0x0a; there are 0x08 (u8), 0x09 (i8), 0x0b (i16), 0x0c (i32), 0x0d (f32) \
         and 0x0e (f64)"
    );
    assert_eq!(
        fault(&[0, 0, 8, 3, 0, 0, 0]),
        "read: the file ends at byte 7, within the header, which should end at byte 16"
    );
    assert_eq!(fault(&file(8, &[2, 3], &[0; 5])), "read: shape [2, 3] needs 6 bytes of data; there are 5");
    assert_eq!(fault(&file(8, &[2, 3], &[0; 8])), "read: shape [2, 3] needs 6 bytes of data; there are more");
    assert_eq!(fault(&file(13, &[0], &[])), "read: the elements are f32; read them as `f32` or `f64`");
    // A file that claims to be large takes no memory.
    assert_eq!(
        fault(&file(8, &[u32::MAX], &[0; 8])),
        "read: shape [4294967295] needs 4294967295 bytes of data; there are 8"
    );
    assert_eq!(
        fault(&file(12, &[u32::MAX, u32::MAX, 4], &[])),
        "read: shape [4294967295, 4294967295, 4] has more elements than a machine can hold"
    );
    let impossible = file(8, &[0, u32::MAX, u32::MAX, u32::MAX], &[]);
    assert_eq!(
        fault(&impossible),
        format!(
            "read: shape [0, 4294967295, 4294967295, 4294967295] has more elements than a machine can hold"
        )
    );
}

#[test]
fn errors_name_the_file() {
    let folder = Folder::new();
    let path = folder.file("labels", file(8, &[3], &[7, 8, 9]));
    assert_eq!(idx::read::<i64>(&path).unwrap(), Tensor::from([7, 8, 9]));
    let path = folder.file("short", file(8, &[3], &[7]));
    assert_eq!(
        message(idx::read::<f32>(&path), &path),
        "read FILE: shape [3] needs 3 bytes of data; there are 1"
    );
    let missing = path.with_file_name("nothing");
    let error = idx::read::<f32>(&missing).unwrap_err();
    let ReadError::Io { path, source } = error else { panic!("{error}") };
    assert_eq!((path.as_path(), source.kind()), (missing.as_path(), std::io::ErrorKind::NotFound));
}

#[cfg(feature = "gzip")]
#[test]
fn damaged_compression_is_refused() {
    let whole = super::gzip(&file(8, &[100], &[1; 100]));
    for length in 2..whole.len() {
        assert!(idx::from_bytes::<f32>(&whole[..length]).is_err(), "{length}");
    }
    let mut wrong = whole.clone();
    let checksum = wrong.len() - 8;
    wrong[checksum] ^= 1;
    assert!(matches!(idx::from_bytes::<f32>(&wrong), Err(ReadError::Io { .. })));
    // A header that promises little does not let much be inflated.
    let bomb = super::gzip(&file(8, &[3], &vec![0; 1 << 24]));
    let error = idx::from_bytes::<f32>(&bomb).unwrap_err().to_string();
    assert_eq!(error, "read: shape [3] needs 3 bytes of data; there are more");
}
