//! Reading files: images as compressed IDX, a table as text, an array of NumPy.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use gradus::data::read::{csv::Table, idx};
use gradus::{Tensor, npy, seeded};

use crate::bench::Bench;

/// A folder that is removed in the end, unless it is to be kept.
struct Folder {
    path: PathBuf,
    keep: bool,
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Writes the files that are not there, and times reading each as a tensor.
pub(crate) fn all(
    bench: &mut Bench,
    folder: Option<PathBuf>,
    idx: Option<PathBuf>,
) -> Result<(), Box<dyn Error>> {
    let keep = folder.is_some();
    let temporary = || std::env::temp_dir().join(format!("gradus-yardstick-{}", std::process::id()));
    let folder = Folder { path: folder.unwrap_or_else(temporary), keep };
    fs::create_dir_all(&folder.path)?;
    let [own_idx, table, array] =
        ["images.idx.gz", "table.csv", "array.npy"].map(|name| folder.path.join(name));
    let is_own = idx.is_none();
    let images = idx.unwrap_or(own_idx);
    if is_own && !images.exists() {
        write_images(&images)?;
    }
    if !table.exists() {
        write_table(&table)?;
    }
    if !array.exists() {
        npy::write(&array, Tensor::<f32>::randn([25_000_000], &mut seeded(0)))?;
    }
    // Read once with errors as they come; while time runs, the files are known to be whole.
    let read = || -> Result<_, Box<dyn Error>> {
        let table = Table::read(&table)?;
        Ok((idx::read::<f32>(&images)?.len(), table.numbers::<f64>(table.names())?.len(), npy::read(&array)?))
    };
    drop(read()?);
    bench.time("read_idx", || || idx::read::<f32>(&images).expect("the file is whole") / 255.0);
    bench.time("read_csv", || {
        || {
            let table = Table::read(&table).expect("the file is whole");
            table.numbers::<f64>(table.names()).expect("the file is whole")
        }
    });
    bench.time("read_npy", || || npy::read(&array).expect("the file is whole"));
    Ok(())
}

/// 10,000 images of 28 x 28 pixels, of which one in five is not 0.
fn write_images(path: &Path) -> Result<(), Box<dyn Error>> {
    let mut file = GzEncoder::new(File::create(path)?, Compression::default());
    let header: [u32; 4] = [0x0000_0803, 10_000, 28, 28];
    header.into_iter().try_for_each(|number| file.write_all(&number.to_be_bytes()))?;
    let pixels = (Tensor::<f32>::rand([10_000 * 28 * 28], &mut seeded(0)) - 0.8) * (5.0 * 255.0);
    let pixels: Vec<u8> = pixels.iter().map(|pixel| pixel as u8).collect();
    file.write_all(&pixels)?;
    file.finish()?;
    Ok(())
}

/// A million rows of ten normal numbers with all their digits.
fn write_table(path: &Path) -> Result<(), Box<dyn Error>> {
    let mut file = BufWriter::new(File::create(path)?);
    writeln!(file, "c0,c1,c2,c3,c4,c5,c6,c7,c8,c9")?;
    for row in Tensor::<f64>::randn([1_000_000, 10], &mut seeded(0)).to_vec().as_chunks::<10>().0 {
        let cells = row.map(|number| number.to_string());
        writeln!(file, "{}", cells.join(","))?;
    }
    Ok(file.flush()?)
}
