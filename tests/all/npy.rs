//! Files of `NumPy`: what is written is read again, bit by bit, and no damaged file makes the reader panic.

use std::collections::BTreeMap;
use std::fs;
use std::slice::from_ref;

use gradus::npy::{self, Array, Fault, NpyError};
use gradus::{Element, Slice, Tensor, npz};
use proptest::prelude::*;

/// The elements in logical order as bits, with the type and the shape.
fn bits(array: &Array) -> (&'static str, Vec<usize>, Vec<u64>) {
    let bits = match array {
        Array::F32(tensor) => tensor.iter().map(|x| x.to_bits().into()).collect(),
        Array::F64(tensor) => tensor.iter().map(f64::to_bits).collect(),
        Array::I64(tensor) | Array::U64(tensor) => tensor.iter().map(i64::cast_unsigned).collect(),
        Array::Bool(tensor) => tensor.iter().map(u64::from).collect(),
    };
    (array.dtype(), array.shape().to_vec(), bits)
}

/// A tensor of any bits, as a view: turned round, transposed, a part, or all the same element.
fn view<T: Element>(numbers: Vec<T>, shape: &[usize], view: u8) -> Tensor<T> {
    let tensor = Tensor::from_vec(numbers, shape).unwrap();
    match view {
        1 if tensor.rank() > 1 => tensor.transpose(0, -1),
        2 if tensor.rank() > 0 => tensor.flip(0),
        3 if tensor.rank() > 0 => tensor.slice(0, Slice::from(..).step(2)),
        4 => tensor.expand([&[2], shape].concat()),
        _ => tensor,
    }
}

prop_compose! {
    /// An array of any type and layout, with up to three axes, any of which may have size 0.
    fn arrays()(
        shape in prop::collection::vec(0..4_usize, 0..4),
        numbers in prop::collection::vec(any::<u64>(), 27),
        special in prop::collection::vec(prop::sample::select(vec![
            0, 1 << 63, 1 << 31, 0x7ff0_0000_0000_0001, 0xfff8_dead_beef_0001, 0x7f80_0001, 0xffc0_1234,
        ]), 27),
        choose: u32, layout in 0..5_u8, kind in 0..5_u8,
    ) -> Array {
        let count = shape.iter().product();
        let number = |i: usize| if choose >> i & 1 == 0 { numbers[i] } else { special[i] };
        let numbers = (0..count).map(number);
        match kind {
            0 => view(numbers.map(|x| f32::from_bits(x as u32)).collect(), &shape, layout).into(),
            1 => view(numbers.map(f64::from_bits).collect(), &shape, layout).into(),
            2 => view(numbers.map(u64::cast_signed).collect(), &shape, layout).into(),
            3 => Array::U64(view(numbers.map(u64::cast_signed).collect(), &shape, layout)),
            _ => view(numbers.map(|x| x & 1 == 1).collect(), &shape, layout).into(),
        }
    }
}

/// Names that files, archives and other programs could take for something else.
fn names() -> impl Strategy<Value = String> {
    prop::string::string_regex("[a-c./:\\\\ é]{0,6}").unwrap()
}

proptest! {
    #[test]
    fn arrays_return_with_the_same_bits(array in arrays()) {
        let file = npy::to_bytes(&array).unwrap();
        prop_assert_eq!(bits(&npy::from_bytes(&file).unwrap()), bits(&array));
    }

    #[test]
    fn archives_return_with_the_same_bits(arrays in prop::collection::btree_map(names(), arrays(), 0..4)) {
        match npz::to_bytes(&arrays) {
            Ok(file) => {
                let read = npz::from_bytes(&file).unwrap();
                let all = |arrays: &BTreeMap<String, Array>| {
                    arrays.iter().map(|(name, array)| (name.clone(), bits(array))).collect::<Vec<_>>()
                };
                prop_assert_eq!(all(&read), all(&arrays));
            }
            Err(NpyError::Malformed { array: Some(name), fault: Fault::Name, .. }) => {
                prop_assert!(!name.is_ascii(), "{}", name);
            }
            Err(error) => prop_assert!(false, "{}", error),
        }
    }

    /// With the first index running fastest, and the most significant byte first.
    #[test]
    fn every_order_is_read(
        shape in prop::collection::vec(0..4_usize, 0..4), big: bool, fortran: bool, version in 1..=3_u8,
    ) {
        let numbers = (0..shape.iter().product::<usize>() as i64).map(|x| x * 0x0102_0304 - 7).collect();
        let want = Tensor::from_vec(numbers, &shape).unwrap();
        let axes: Vec<_> = (0..shape.len() as isize).rev().collect();
        let stored = if fortran { want.permute(axes) } else { want.clone() };
        let bytes = |x: i64| if big { (x as i32).to_be_bytes() } else { (x as i32).to_le_bytes() };
        let data: Vec<u8> = stored.iter().flat_map(bytes).collect();
        let sizes = shape.iter().fold(String::new(), |sizes, size| sizes + &format!("{size},"));
        let (order, fortran) = (if big { '>' } else { '<' }, if fortran { "True" } else { "False" });
        let header = format!("{{\"shape\": ({sizes}), 'descr':'{order}i4','fortran_order': {fortran}}}");
        prop_assert_eq!(npy::from_bytes(&file(version, &header, &data)).unwrap(), Array::I64(want));
    }

    /// Bytes are changed, then the end is cut off.
    #[test]
    fn damaged_files_are_read_or_refused(
        array in arrays(), place: prop::sample::Index, flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut npy = npy::to_bytes(&array).unwrap();
        let mut npz = npz::to_bytes([("a", &array), ("b", &array)]).unwrap();
        for file in [&mut npy, &mut npz] {
            for (flip, byte) in &flips {
                let place = flip.index(file.len());
                file[place] ^= byte;
            }
        }
        let _ = (npy::from_bytes(&npy), npz::from_bytes(&npz));
        for file in [&mut npy, &mut npz] {
            file.truncate(place.index(file.len()));
        }
        let _ = (npy::from_bytes(&npy), npz::from_bytes(&npz));
    }

    /// Text of the header, from its words.
    #[test]
    fn any_header_is_read_or_refused(words in prop::collection::vec(prop::sample::select(vec![
        "{", "}", "(", ")", ",", ":", "'descr'", "'fortran_order'", "'shape'", "'<f8'", "True", "False", "2", "-1", " ",
        "'", "\"", "99999999999999999999", "[", "L", "\u{e9}",
    ]), 0..20), version in 0..5_u8) {
        let _ = npy::from_bytes(&file(version, &words.concat(), &[0; 16]));
    }
}

/// A file with this header and these data.
fn file(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
    let length = (header.len() as u32).to_le_bytes();
    let length = if version == 1 { &length[..2] } else { &length };
    [b"\x93NUMPY", &[version, 0][..], length, header.as_bytes(), data].concat()
}

fn header(descr: &str, shape: &str) -> String {
    format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}")
}

#[test]
fn every_prefix_is_refused() {
    let array = Tensor::from([1_i64, 2]);
    let npy = npy::to_bytes(&array).unwrap();
    assert!((0..npy.len()).all(|end| npy::from_bytes(&npy[..end]).is_err()));
    let npz = npz::to_bytes([("x", &array)]).unwrap();
    assert!((0..npz.len()).all(|end| npz::from_bytes(&npz[..end]).is_err()));
}

#[test]
fn errors_say_what_is_wrong_and_where() {
    let good = header("'<u8'", "(2,)");
    let data = [1, u64::MAX - 1].map(u64::to_le_bytes).concat();
    for (bytes, message) in [
        (
            b"PK\x03\x04".to_vec(),
            "byte 0: a file of an array begins with the byte 0x93 and `NUMPY`; this is an archive, which `npz::read` reads",
        ),
        (file(9, &good, &data), "byte 6: version 9.0 of the format; there are 1.0, 2.0 and 3.0"),
        (
            file(1, &good, &data)[..40].to_vec(),
            "the file ends at byte 40, within the header, which should end at byte 67",
        ),
        (file(1, "[1]", &data), "byte 10: the header should have a dictionary here"),
        (file(1, "{'descr': '<f8'}", &data), "the header has no \"fortran_order\""),
        (
            file(1, "{'descr': '<f8', 'descr': '<f8'}", &data),
            "byte 27: the header has the key \"descr\" twice",
        ),
        (
            file(1, &header("'|O'", "(2,)"), &data),
            "descr: elements are pickled objects (`|O`), which could run any program; floats of 16, 32 and 64 bits (`<f4`, `>f8`), integers (`<i8`, `|u1`) and `|b1` can be read",
        ),
        (
            file(1, &header("'<U4'", "(2,)"), &data),
            "descr: elements of type `<U4`; floats of 16, 32 and 64 bits (`<f4`, `>f8`), integers (`<i8`, `|u1`) and `|b1` can be read",
        ),
        (file(1, &header("'<f8'", "(2, -3)"), &data), "shape (2, -3, ...: a size is negative"),
        (
            file(1, &header("'<f8'", "(2)"), &data),
            "byte 62: the header should have a comma behind a size here",
        ),
        (
            file(1, &header("'<f8'", "(1099511627776, 1099511627776)"), &data),
            "shape [1099511627776, 1099511627776]: more elements than a machine can hold",
        ),
        (
            file(1, &header("'<f8'", "(0, 1099511627776, 1099511627776)"), &data),
            "shape [0, 1099511627776, 1099511627776]: more elements than a machine can hold",
        ),
        (
            file(1, &header("'<f8'", "(1000000000000,)"), &data),
            "byte 79: 8000000000000 bytes of data should follow for shape [1000000000000]; there are 16",
        ),
        (
            file(1, &good, &[&data[..], &[0]].concat()),
            "byte 67: 16 bytes of data should follow for shape [2]; there are 17",
        ),
        (
            file(1, &header("'<f8'", &format!("({})", "1,".repeat(65))), &data[..8]),
            &format!("shape {:?}: arrays have at most 64 axes", [1; 65]),
        ),
    ] {
        let error = npy::from_bytes(&bytes).unwrap_err();
        assert_eq!(error.to_string(), format!("read: {message}"));
    }
    assert_eq!(
        npy::to_bytes(Tensor::<f32>::zeros([1; 65])).unwrap_err().to_string(),
        format!("write: shape {:?}: arrays have at most 64 axes", [1; 65])
    );
    let twice = npz::to_bytes([("x", Tensor::from(1.0)), ("x", Tensor::from(2.0))]).unwrap_err();
    assert_eq!(twice.to_string(), "write array \"x\": two arrays have this name");
    let error = Tensor::<f32>::try_from(Array::from(Tensor::from(1.0_f64))).unwrap_err();
    assert_eq!(error.to_string(), "the elements are f64, not f32; `Array::cast` converts");
    let unsigned = |numbers: [u64; 2]| {
        let data = numbers.map(u64::to_le_bytes).concat();
        Tensor::<i64>::try_from(npy::from_bytes(&file(1, &header("'<u8'", "(1, 2)"), &data)).unwrap())
    };
    assert_eq!(unsigned([1, i64::MAX as u64]).unwrap(), Tensor::from([[1, i64::MAX]]));
    assert_eq!(
        unsigned([1, u64::MAX - 1]).unwrap_err().to_string(),
        "element [0, 1]: 18446744073709551614 is larger than the largest `i64`, 9223372036854775807; \
         `Array::cast` converts"
    );
}

#[test]
fn files_are_replaced_and_named_in_errors() {
    let folder = std::env::temp_dir().join(format!("gradus-npy-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (npy, npz) = (folder.join("x.npy"), folder.join("x.npz"));
    for x in [Tensor::from([1.0_f32, f32::NAN]), Tensor::from([-0.0_f32])] {
        npy::write(&npy, &x).unwrap();
        assert_eq!(bits(&npy::read(&npy).unwrap()), bits(&Array::from(&x)));
        npz::write(&npz, [("x", &x)]).unwrap();
        assert_eq!(bits(&npz::read(&npz).unwrap()["x"]), bits(&Array::from(&x)));
    }
    // Nothing else is left in the folder.
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
    let small = npz::read_at_most(&npz, 100).unwrap_err().to_string();
    assert_eq!(small, format!("read {npz:?} array \"x\": the arrays unpack to more than 100 bytes"));
    assert!(npz::read_at_most(&npz, 132).is_ok());
    fs::write(&npy, b"numpy").unwrap();
    let error = npy::read(&npy).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("read {npy:?}: byte 0: a file of an array begins with the byte 0x93 and `NUMPY`")
    );
    fs::remove_dir_all(&folder).unwrap();
    assert!(npy::read(&npy).unwrap_err().to_string().starts_with(&format!("read {npy:?}: ")));
    assert!(
        npy::write(&npy, Tensor::from(1.0)).unwrap_err().to_string().starts_with(&format!("write {npy:?}: "))
    );
}

#[test]
fn elements_are_converted_on_request() {
    let half = file(1, &header("'<f2'", "(2,)"), &[0x00, 0x3c, 0x01, 0x00]);
    let array = npy::from_bytes(&half).unwrap();
    assert_eq!(array.cast::<f32>(), Tensor::from([1.0, 2.0_f32.powi(-24)]));
    assert_eq!(array.cast::<f64>(), Tensor::from([1.0, 2.0_f64.powi(-24)]));
    assert_eq!(Array::from(Tensor::from([true, false])).cast::<f32>(), Tensor::from([1.0_f32, 0.0]));
}

proptest! {
    #[test]
    fn unsigned_integers_become_the_nearest_number(number: u64, shift in 0..64_u32, low in 0..4_u64) {
        // Also next to the middle between two floats.
        for number in [number >> shift, (number | 1 << 63) >> shift & !0xff_ffff | 0x80_0000 | low, u64::MAX - low] {
            let array = Array::U64(Tensor::from(number.cast_signed()));
            prop_assert_eq!(array.cast::<f32>().item(), number as f32);
            prop_assert_eq!(array.cast::<f64>().item(), number as f64);
            prop_assert_eq!(array.cast::<i64>().item(), i64::try_from(number).unwrap_or(i64::MAX));
        }
    }
}

/// A member of an archive.
#[derive(Clone)]
struct Member {
    name: &'static str,
    method: u16,
    packed: Vec<u8>,
    /// The size that the directory declares.
    size: u32,
    checksum: u32,
}

/// An archive written by hand.
fn archive(members: &[Member]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for member in members {
        let offset = file.len() as u32;
        let sizes = [member.checksum, member.packed.len() as u32, member.size].map(u32::to_le_bytes).concat();
        let common = [&[20, 0, 0, 0][..], &member.method.to_le_bytes(), &[0; 4], &sizes].concat();
        let name = (member.name.len() as u16).to_le_bytes();
        let head = [b"PK\x03\x04", &common[..], &name, &[0; 2], member.name.as_bytes()].concat();
        file.extend([head, member.packed.clone()].concat());
        let record = [b"PK\x01\x02\x14\x00", &common[..], &name, &[0; 12], &offset.to_le_bytes()].concat();
        directory.extend([&record[..], member.name.as_bytes()].concat());
    }
    let (start, length) = (file.len() as u32, directory.len() as u32);
    let count = (members.len() as u16).to_le_bytes();
    let end =
        [b"PK\x05\x06\0\0\0\0", &count[..], &count, &length.to_le_bytes(), &start.to_le_bytes(), &[0; 2]];
    [file, directory, end.concat()].concat()
}

/// The checksum of zip archives.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
    !bytes.iter().fold(u32::MAX, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}

#[test]
fn archives_hold_what_their_directory_declares() {
    let x = Tensor::from([1.0_f32, 2.0]);
    let npy = npy::to_bytes(&x).unwrap();
    let length = npy.len() as u16;
    // Deflated data in one block that is not compressed.
    let packed = [&[1][..], &length.to_le_bytes(), &(!length).to_le_bytes(), &npy].concat();
    let good = Member { name: "x.npy", method: 8, packed, size: length.into(), checksum: crc32(&npy) };
    assert_eq!(npz::from_bytes(&archive(from_ref(&good))).unwrap()["x"], Array::from(&x));
    assert_eq!(npz::from_bytes(&archive(&[])).unwrap(), BTreeMap::new());

    let of_x = |message: &str| format!("read array \"x\": {message}");
    for (member, message) in [
        (Member { size: 135, ..good.clone() }, "Invalid size: expected 135, got 136"),
        (Member { size: 137, ..good.clone() }, "Invalid size: expected 137, got 136"),
        (
            Member { size: 200_000, ..good.clone() },
            "141 bytes cannot unpack to 200000, which the directory declares",
        ),
        (
            Member { method: 0, ..good.clone() },
            "141 bytes cannot unpack to 136, which the directory declares",
        ),
        (Member { method: 12, ..good.clone() }, "it is packed by method 12; 0 and 8 can be read"),
        (Member { packed: vec![7; 9], ..good.clone() }, "corrupt deflate stream"),
    ] {
        let error = npz::from_bytes(&archive(&[member])).unwrap_err().to_string();
        assert!(error.starts_with(&of_x(message)), "{error}, not {message}");
    }
    let sum = npz::from_bytes(&archive(&[Member { checksum: 1, ..good.clone() }])).unwrap_err().to_string();
    assert!(sum.starts_with(&of_x("Invalid checksum: expected 0x00000001")), "{sum}");
    let twice = npz::from_bytes(&archive(&[good.clone(), Member { name: "x", ..good.clone() }])).unwrap_err();
    assert_eq!(twice.to_string(), of_x("two arrays have this name"));

    // A member that holds another one.
    let inner = archive(from_ref(&good));
    let outer =
        Member { name: "y", method: 0, size: inner.len() as u32, checksum: crc32(&inner), packed: inner };
    let both = archive(&[outer, good]);
    let mut shared = both.clone();
    let record = both.windows(4).rposition(|bytes| bytes == b"PK\x01\x02").unwrap();
    // The first member begins behind the head of the outer one.
    shared[record + 42..record + 46].copy_from_slice(&31_u32.to_le_bytes());
    assert_eq!(
        npz::from_bytes(&shared).unwrap_err().to_string(),
        "read: the archive: two arrays share bytes"
    );
}

/// Elements of large files go into the tensor without all bytes in memory, in parts for threads.
#[test]
fn large_files_are_read_as_their_bytes_are() {
    let path = std::env::temp_dir().join(format!("gradus-large-{}.npy", std::process::id()));
    let count = (1 << 20) + 12_345;
    for (descr, width) in [("|u1", 1), ("<f2", 2), (">i4", 4), ("<f4", 4), (">f8", 8)] {
        for fortran in ["False", "True"] {
            let data: Vec<u8> = (0..count * width).map(|i| (i * i / 7 + i) as u8).collect();
            let header =
                format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': (5, {}), }}", count / 5);
            let bytes = file(1, &header, &data);
            fs::write(&path, &bytes).unwrap();
            assert_eq!(bits(&npy::read(&path).unwrap()), bits(&npy::from_bytes(&bytes).unwrap()), "{descr}");
            fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
            let message = npy::read(&path).unwrap_err().to_string();
            assert!(message.contains(&format!("there are {}", data.len() - 1)), "{message}");
        }
    }
    fs::remove_file(&path).unwrap();
}
