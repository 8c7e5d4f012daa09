//! Which folder of a crate may import which, and how long a file may be: read from the sources.

use std::fs;
use std::path::{Path, PathBuf};

/// For each folder of `gradus-autograd`, the folders it may import.
const FOLDERS: [(&str, &[&str]); 4] = [
    // The contract of an operation names the expression of a scalar function.
    ("tape", &["tape", "scalar"]),
    ("engine", &["tape", "engine"]),
    ("scalar", &["tape", "engine", "scalar"]),
    ("ops", &["tape", "engine", "scalar", "ops"]),
];

/// All source files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let children = fs::read_dir(folder).unwrap().map(|child| child.unwrap().path());
    children.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates")
}

#[test]
fn folders_of_autograd_import_what_they_may() {
    for (folder, allowed) in FOLDERS {
        for path in files(&crates().join("autograd/src").join(folder)) {
            let text = fs::read_to_string(&path).unwrap();
            for (place, _) in text.match_indices("crate::") {
                let rest = &text[place + "crate::".len()..];
                let is_name = |c: &char| c.is_ascii_lowercase() || *c == '_';
                let name: String = rest.chars().take_while(is_name).collect();
                // Cases for the tests stand beside their operations, so all may name `testing`.
                let is_border = FOLDERS.iter().any(|(other, _)| *other == name) || name == "operators";
                assert!(!is_border || allowed.contains(&name.as_str()), "{} imports {name}", path.display());
            }
        }
    }
}

#[test]
fn files_are_short() {
    for name in [
        "tensor",
        "autograd",
        "nn",
        "compress",
        "data",
        "explain",
        "federated",
        "train",
        "quant",
        "derive",
        "gradus",
    ] {
        for path in files(&crates().join(name).join("src")) {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            assert!(lines <= 400, "{} has {lines} lines", path.display());
        }
    }
}
