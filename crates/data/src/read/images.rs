//! Folders of images, a folder for each class: `path/class/image.png`. With the feature `image`.
//!
//! ```no_run
//! # mod gradus { pub use {gradus_autograd::*, gradus_nn::*}; pub mod data { pub use gradus_data::*; } }
//! use gradus::data::read::images::Folder;
//!
//! let folder = Folder::open("pets")?.resize(64, 64);
//! println!("{} images of {:?}", folder.len(), folder.classes());
//! let (images, labels) = (folder.load_all()?, folder.labels()); // [n, 3, 64, 64] and [n]
//! let first = folder.load(0)?; // [3, 64, 64], and no other image in memory
//! # Ok::<(), gradus::data::read::ReadError>(())
//! ```
//!
//! A folder is a data set, whose batches are read when they come, on other threads if that is asked for:
//!
//! ```no_run
//! # mod gradus { pub use {gradus_autograd::*, gradus_nn::*}; pub mod data { pub use gradus_data::*; } }
//! use std::sync::Arc;
//!
//! use gradus::seeded;
//! use gradus::data::{Batches, read::images::Folder};
//!
//! let folder = Arc::new(Folder::open("pets")?.resize(64, 64));
//! for batch in Batches::of(folder, 32).shuffle(&mut seeded(0)).prefetch(2) {
//!     let (images, labels) = batch?;
//!     // a step of training
//!     # let _ = (images, labels);
//! }
//! # Ok::<(), gradus::data::read::ReadError>(())
//! ```

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gradus_autograd::Tensor;
use image::imageops::FilterType;
use image::{DynamicImage, ImageError, ImageReader};

use super::ReadError;
use crate::dataset::Dataset;

/// The images below a folder that has a folder for each class. Opening it lists the files; images are read when they are
/// loaded, so that not all of them have to fit into memory.
///
/// Classes are in the order of their names, and images in the order of their classes, then of their names. PNG and JPEG files
/// are images, recognised by the endings `png`, `jpg` and `jpeg`; other files and hidden ones are left out. Transparency does
/// not count.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
    files: Vec<PathBuf>,
    labels: Vec<i64>,
    classes: Vec<String>,
    grayscale: bool,
    size: Option<(usize, usize)>,
}

impl Folder {
    /// Lists the images. They are loaded in colour and in the size that they have.
    ///
    /// # Errors
    /// If a folder cannot be read, there are no classes, or a class has no images.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ReadError> {
        let path = path.as_ref();
        let fault = |folder: &Path, fault: &str| ReadError::fault(fault).in_file(folder);
        let (mut files, mut labels, mut classes) = (vec![], vec![], vec![]);
        for folder in children(path)?.into_iter().filter(|child| child.is_dir()) {
            let images: Vec<_> = children(&folder)?.into_iter().filter(|file| is_image(file)).collect();
            if images.is_empty() {
                return Err(fault(
                    &folder,
                    "the folder of a class should have images (`png`, `jpg`, `jpeg`)",
                ));
            }
            let Some(name) = folder.file_name().and_then(OsStr::to_str) else {
                return Err(fault(&folder, "the name of the class is not UTF-8"));
            };
            labels.resize(labels.len() + images.len(), classes.len() as i64);
            files.extend(images);
            classes.push(name.into());
        }
        if classes.is_empty() {
            return Err(fault(path, "there should be a folder for each class, with its images"));
        }
        Ok(Self { path: path.into(), files, labels, classes, grayscale: false, size: None })
    }

    /// The images in shades of gray: one channel in place of three.
    #[must_use]
    pub fn grayscale(mut self) -> Self {
        self.grayscale = true;
        self
    }

    /// The images in this size, whatever their own: bilinear interpolation over the pixels that a new one covers. Proportions
    /// are not kept.
    ///
    /// # Panics
    /// If a size is 0.
    #[must_use]
    #[track_caller]
    pub fn resize(mut self, height: usize, width: usize) -> Self {
        assert!(
            height > 0 && width > 0 && height.max(width) <= 1 << 16,
            "resize: the size is {height} x {width}; both sizes must be from 1 to 65536"
        );
        self.size = Some((height, width));
        self
    }

    /// The same images with a given list of classes, in another order or longer: the list of the training data.
    ///
    /// # Errors
    /// If a folder has the name of no class.
    pub fn with_classes(mut self, classes: &[impl AsRef<str>]) -> Result<Self, ReadError> {
        let places = self.classes.iter().map(|name| {
            let place = classes.iter().position(|class| class.as_ref() == name);
            place.map(|place| place as i64).ok_or_else(|| {
                let names = classes.iter().map(|class| format!("{:?}", class.as_ref())).collect::<Vec<_>>();
                let fault =
                    format!("the folder {name:?} has the name of no class; classes are {}", names.join(", "));
                ReadError::fault(fault).in_file(&self.path)
            })
        });
        let places = places.collect::<Result<Vec<_>, _>>()?;
        self.labels.iter_mut().for_each(|label| *label = places[*label as usize]);
        self.classes = classes.iter().map(|class| class.as_ref().into()).collect();
        Ok(self)
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there are no images; [`open`](Self::open) gives no such folder.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The names of the classes by their numbers.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The class of each image: `[n]`.
    pub fn labels(&self) -> Tensor<i64> {
        self.labels.as_slice().into()
    }

    /// The files of the images.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// One image: `[channels, height, width]`, from 0 to 1.
    ///
    /// # Errors
    /// If the file cannot be read, or is no such image.
    ///
    /// # Panics
    /// If there is no image of this number.
    #[track_caller]
    pub fn load(&self, index: usize) -> Result<Tensor, ReadError> {
        let (pixels, size) = self.pixels(self.file(index))?;
        Ok(planes(pixels, 1, self.channels(), size).squeeze(0))
    }

    /// Some images, in this order: `[n, channels, height, width]`, from 0 to 1.
    ///
    /// # Errors
    /// If a file cannot be read, is no such image, or has another size than the first one.
    ///
    /// # Panics
    /// If there is no image of a number.
    #[track_caller]
    pub fn load_batch(&self, indices: impl IntoIterator<Item = usize>) -> Result<Tensor, ReadError> {
        let mut all = vec![];
        let mut first: Option<(&Path, (usize, usize))> = None;
        let mut count = 0;
        for index in indices {
            let file = self.file(index);
            let (pixels, size) = self.pixels(file)?;
            let &mut (other, expected) = first.get_or_insert((file, size));
            if size != expected {
                let other = format!("{:?}", other.to_string_lossy());
                let ((height, width), (other_height, other_width)) = (size, expected);
                let fault = format!(
                    "the image has {height} x {width} pixels (height x width), {other} has {other_height} x \
                     {other_width}; `resize` makes them equal"
                );
                return Err(ReadError::fault(fault).in_file(file));
            }
            all.extend(pixels);
            count += 1;
        }
        let size = first.map(|(_, size)| size).or(self.size).unwrap_or_default();
        Ok(planes(all, count, self.channels(), size))
    }

    /// All images: `[n, channels, height, width]`, from 0 to 1.
    ///
    /// # Errors
    /// As [`load_batch`](Self::load_batch).
    pub fn load_all(&self) -> Result<Tensor, ReadError> {
        self.load_batch(0..self.len())
    }

    #[track_caller]
    fn file(&self, index: usize) -> &Path {
        let count = self.len();
        assert!(index < count, "load: there is no image {index}; there are {count}, counted from 0");
        &self.files[index]
    }

    fn channels(&self) -> usize {
        if self.grayscale { 1 } else { 3 }
    }

    /// The channels of each pixel, row by row, and the height and width.
    fn pixels(&self, path: &Path) -> Result<(Vec<f32>, (usize, usize)), ReadError> {
        let mut image = decoded(path).map_err(|error| match error {
            ImageError::IoError(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
                ReadError::io(error).in_file(path)
            }
            other => {
                ReadError::fault(format!("the image is damaged or of another format: {other}")).in_file(path)
            }
        })?;
        if let Some((height, width)) = self.size {
            image = image.resize_exact(width as u32, height as u32, FilterType::Triangle);
        }
        let size = (image.height() as usize, image.width() as usize);
        let pixels = if self.grayscale {
            // Colours are weighted in the precision of the file, gray pixels keep their values.
            image.to_luma32f().into_raw()
        } else {
            image.to_rgb32f().into_raw()
        };
        Ok((pixels, size))
    }
}

/// Images `[n, channels, height, width]` and their classes `[n]`, or the error of a file.
impl Dataset for Folder {
    type Batch = Result<(Tensor, Tensor<i64>), ReadError>;

    fn len(&self) -> usize {
        self.files.len()
    }

    #[track_caller]
    fn batch(&self, indices: &[usize]) -> Self::Batch {
        let images = self.load_batch(indices.iter().copied())?;
        Ok((images, indices.iter().map(|&index| self.labels[index]).collect()))
    }
}

fn decoded(path: &Path) -> Result<DynamicImage, ImageError> {
    ImageReader::open(path)?.with_guessed_format()?.decode()
}

/// Pixels with their channels side by side as images with one plane for each channel.
fn planes(pixels: Vec<f32>, count: usize, channels: usize, (height, width): (usize, usize)) -> Tensor {
    let pixels = Tensor::from_vec(pixels, [count, height, width, channels]);
    pixels.expect("each image has the size of the first").permute([0, 3, 1, 2]).contiguous()
}

/// The contents of a folder, in the order of the names, without hidden files.
fn children(folder: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let listed = fs::read_dir(folder).and_then(|entries| {
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()
    });
    let mut paths = listed.map_err(|error| ReadError::io(error).in_file(folder))?;
    let is_hidden =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    paths.retain(|path| !is_hidden(path));
    paths.sort_unstable();
    Ok(paths)
}

fn is_image(path: &Path) -> bool {
    let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    path.is_file() && ["png", "jpg", "jpeg"].iter().any(|known| ending.eq_ignore_ascii_case(known))
}
