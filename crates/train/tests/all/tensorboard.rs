//! Event files; the bytes of their records are tested beside the code.

use std::fs;

use gradus_train::{Log, TensorBoardLog};

use crate::Folder;

/// The data of the records of a file, by their lengths.
fn records(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut records = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<8>() {
        let length = u64::from_le_bytes(*length) as usize;
        records.push(&rest[4..4 + length]);
        bytes = &rest[4 + length + 4..];
    }
    records
}

#[test]
fn each_run_has_a_file_of_its_own() {
    let folder = Folder::new("tensorboard");
    let path = folder.file("runs/first");
    for first in [1, 3] {
        let mut log = TensorBoardLog::new(&path);
        for epoch in first..5 {
            log.row(epoch, &[("loss", 0.5)]).unwrap();
        }
    }
    let mut files: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort_by_key(|path| fs::metadata(path).unwrap().len());
    assert!(files.iter().all(|path| path.to_str().unwrap().contains("tfevents")));
    let counts: Vec<usize> = files.iter().map(|path| records(&fs::read(path).unwrap()).len()).collect();
    assert_eq!(counts, [2 + 2, 2 + 4]);
    // The second run starts at step 3, after the time.
    let bytes = fs::read(&files[0]).unwrap();
    assert_eq!(records(&bytes)[1][9..], [0x10, 3, 0x3a, 2, 8, 1]);
}
