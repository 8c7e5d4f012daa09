//! Folders of images.

use std::io::Cursor;
use std::sync::Arc;

use gradus_autograd::Tensor;
use gradus_data::Batches;
use gradus_data::read::images;
use image::{DynamicImage, ImageFormat};
use proptest::prelude::*;

use super::{Folder, message};

/// A file with pixels of 1 (gray), 3 or 4 channels.
fn png(height: u32, width: u32, channels: usize, pixels: &[u8]) -> Vec<u8> {
    let pixels = pixels.to_vec();
    let image = match channels {
        1 => image::GrayImage::from_raw(width, height, pixels).map(DynamicImage::from),
        3 => image::RgbImage::from_raw(width, height, pixels).map(DynamicImage::from),
        _ => image::RgbaImage::from_raw(width, height, pixels).map(DynamicImage::from),
    };
    let mut file = Cursor::new(vec![]);
    image.unwrap().write_to(&mut file, ImageFormat::Png).unwrap();
    file.into_inner()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Planes of colours, whatever the file has; transparency does not count.
    #[test]
    fn pixels_return(
        height in 1..5_u32, width in 1..5_u32, channels in prop::sample::select(vec![1, 3, 4_usize]),
        pixels in prop::collection::vec(any::<u8>(), 64),
    ) {
        let folder = Folder::new();
        let count = (height * width) as usize * channels;
        folder.file("a/x.png", png(height, width, channels, &pixels[..count]));
        let images = images::Folder::open(&folder.0).unwrap();
        let image = images.load(0).unwrap();
        prop_assert_eq!(image.shape(), [3, height as usize, width as usize]);
        for channel in 0..3 {
            for place in 0..(height * width) as usize {
                let want = pixels[place * channels + channel.min(channels - 1) * usize::from(channels > 1)];
                let (y, x) = (place / width as usize, place % width as usize);
                prop_assert!((image[[channel, y, x]] - f32::from(want) / 255.0).abs() < 1e-6);
            }
        }
        if channels == 1 {
            let gray = images.grayscale().load(0).unwrap();
            prop_assert!(gray.allclose(&image.slice(0, 0..1), 0.0, 1e-6));
        }
    }

    #[test]
    fn damaged_files_are_read_or_refused(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), cut: prop::sample::Index) {
        let folder = Folder::new();
        let mut bytes = png(3, 2, 3, &[7; 18]);
        for (place, byte) in flips {
            let place = place.index(bytes.len());
            bytes[place] ^= byte;
        }
        folder.file("a/x.png", &bytes);
        folder.file("a/y.png", &bytes[..cut.index(bytes.len())]);
        let images = images::Folder::open(&folder.0).unwrap();
        let _ = (images.load(0), images.load(1));
    }
}

#[test]
fn classes_and_images_are_in_order() {
    let folder = Folder::new();
    for (path, value) in [("dogs/b.png", 20), ("dogs/a.PNG", 10), ("cats/z.png", 30), (".hidden/x.png", 40)] {
        folder.file(path, png(1, 2, 1, &[value, 51]));
    }
    folder.file("dogs/notes.txt", "no image");
    folder.file("readme.txt", "no class");
    let images = images::Folder::open(&folder.0).unwrap().grayscale();
    assert_eq!((images.len(), images.classes()), (3, ["cats", "dogs"].map(String::from).as_slice()));
    assert_eq!(images.labels(), Tensor::from([0, 1, 1]));
    assert!(images.files()[1].ends_with("dogs/a.PNG"));
    let all = images.load_all().unwrap();
    assert_eq!(all.shape(), [3, 1, 1, 2]);
    assert!(all.allclose(
        &(Tensor::from([[[[30.0, 51.0]]], [[[10.0, 51.0]]], [[[20.0, 51.0]]]]) / 255.0),
        0.0,
        1e-6
    ));
    assert_eq!(images.load_batch([2, 0]).unwrap(), all.index_select(0, &Tensor::from([2, 0])));
    assert_eq!(images.load_batch([]).unwrap().shape(), [0, 1, 0, 0]);
    // As a data set, read on other threads.
    let batches = Batches::of(Arc::new(images.clone()), 2).order([2, 0, 1]).prefetch(2);
    let batches: Vec<_> = batches.map(Result::unwrap).collect();
    assert_eq!(batches[0].0, all.index_select(0, &Tensor::from([2, 0])));
    assert_eq!((&batches[0].1, &batches[1].1), (&Tensor::from([1, 0]), &Tensor::from([1])));
    assert_eq!(images.clone().resize(4, 6).load_all().unwrap().shape(), [3, 1, 4, 6]);
    // The classes of the training data.
    let other = images.clone().with_classes(&["birds", "dogs", "cats"]).unwrap();
    assert_eq!((other.labels(), other.classes().len()), (Tensor::from([2, 1, 1]), 3));
    assert_eq!(
        message(images.with_classes(&["dogs"]), &folder.0),
        "read FILE: the folder \"cats\" has the name of no class; classes are \"dogs\""
    );
}

#[test]
fn messages() {
    let folder = Folder::new();
    assert_eq!(
        message(images::Folder::open(&folder.0), &folder.0),
        "read FILE: there should be a folder for each class, with its images"
    );
    folder.file("a/1.png", png(2, 3, 3, &[0; 18]));
    let other = folder.file("a/2.png", png(3, 2, 3, &[0; 18]));
    let images = images::Folder::open(&folder.0).unwrap();
    assert_eq!(
        message(images.load_all(), &other),
        "read FILE: the image has 3 x 2 pixels (height x width), \"FOLDER/1.png\" has 2 x 3; `resize` makes them equal"
    );
    assert_eq!(images.resize(2, 2).load_all().unwrap(), Tensor::zeros([2, 3, 2, 2]));
    let broken = folder.file("a/2.png", "no image");
    let images = images::Folder::open(&folder.0).unwrap();
    assert!(images.load(0).is_ok());
    let fault = message(images.load(1), &broken);
    assert!(fault.starts_with("read FILE: the image is damaged or of another format: "), "{fault}");
    let whole = png(2, 3, 3, &[9; 18]);
    folder.file("a/2.png", &whole[..whole.len() / 2]);
    let fault = message(images.load_all(), &broken);
    assert!(fault.starts_with("read FILE: the image is damaged or of another format: "), "{fault}");
    std::fs::create_dir(folder.0.join("b")).unwrap();
    let empty = folder.0.join("b");
    assert_eq!(
        message(images::Folder::open(&folder.0), &empty),
        "read FILE: the folder of a class should have images (`png`, `jpg`, `jpeg`)"
    );
    let missing = folder.0.join("missing");
    assert!(message(images::Folder::open(&missing), &missing).starts_with("read FILE: "));
}

#[test]
#[should_panic(expected = "load: there is no image 1; there are 1, counted from 0")]
fn an_image_that_is_not_there() {
    let folder = Folder::new();
    folder.file("a/1.png", png(1, 1, 1, &[0]));
    let _ = images::Folder::open(&folder.0).unwrap().load(1);
}

#[test]
#[should_panic(expected = "resize: the size is 0 x 4; both sizes must be from 1 to 65536")]
fn a_size_of_nothing() {
    let folder = Folder::new();
    folder.file("a/1.png", png(1, 1, 1, &[0]));
    let _ = images::Folder::open(&folder.0).unwrap().resize(0, 4);
}
