//! Which module may import which: read from the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// All source files, as the path from `src` and the text without comments.
fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut files) = (vec![root.clone()], vec![]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            let code = code.collect::<Vec<_>>().join("\n");
            files.push((path.strip_prefix(&root).unwrap().to_owned(), code));
        }
    }
    files
}

/// The first names of the paths in `text` that begin with `start`: one, or those of a group in braces.
fn names_after(text: &str, start: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let name = |rest: &str| rest.chars().take_while(|&c| is_name(c)).collect::<String>();
    let mut names = BTreeSet::new();
    for (place, _) in text.match_indices(start) {
        let rest = &text[place + start.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            names.insert(name(rest));
            continue;
        };
        // Only names directly within the braces.
        let (mut depth, mut at_start) = (0, true);
        for (i, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => at_start = true,
                c if at_start && depth == 0 && is_name(c) => {
                    names.insert(name(&group[i..]));
                    at_start = false;
                }
                _ => {}
            }
        }
    }
    names
}

/// The module of a file: the first part of its path without the ending.
fn module(path: &Path) -> String {
    path.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

type Graph = BTreeMap<String, BTreeSet<String>>;

/// The modules that can be reached from one, by one step or more.
fn reach(graph: &Graph, from: &str) -> BTreeSet<String> {
    let (mut reached, mut open) = (BTreeSet::new(), vec![from.to_owned()]);
    while let Some(next) = open.pop() {
        for other in graph.get(&next).into_iter().flatten() {
            if reached.insert(other.clone()) {
                open.push(other.clone());
            }
        }
    }
    reached
}

/// Groups of modules that import each other.
fn circles(graph: &Graph) -> BTreeSet<Vec<String>> {
    let together = |a: &String, b: &String| reach(graph, a).contains(b) && reach(graph, b).contains(a);
    let all = graph.keys().map(|a| graph.keys().filter(|b| together(a, b)).cloned().collect());
    all.filter(|circle: &Vec<String>| circle.len() > 1).collect()
}

#[test]
fn kernels_and_the_runtime_know_no_tensor() {
    for (path, text) in sources() {
        let imports = names_after(&text, "crate::");
        let forbidden: &[&str] = match module(&path).as_str() {
            "kernels" => &["tensor", "ops", "print", "iter"],
            "runtime" => {
                &["tensor", "ops", "print", "iter", "kernels", "element", "layout", "shape", "error"]
            }
            _ => continue,
        };
        assert!(!text.contains("Tensor<"), "{} names a tensor", path.display());
        for name in forbidden {
            assert!(!imports.contains(*name), "{} imports {name}", path.display());
        }
    }
}

/// An element type knows its kernels, which are generic over it; a shape and an error name each other.
#[test]
fn only_two_pairs_of_modules_import_each_other() {
    let mut graph = Graph::new();
    for (path, text) in sources().into_iter().filter(|(path, _)| path != Path::new("lib.rs")) {
        let from = module(&path);
        let imports = names_after(&text, "crate::").into_iter().filter(|to| *to != from);
        graph.entry(from.clone()).or_default().extend(imports);
    }
    let expected = [["element", "kernels"], ["error", "shape"]].map(|pair| pair.map(String::from).to_vec());
    assert_eq!(circles(&graph), BTreeSet::from(expected));
}

/// Within the kernels, and within the operations.
#[test]
fn families_do_not_import_each_other() {
    for folder in ["kernels", "ops"] {
        let mut graph = Graph::new();
        for (path, text) in sources() {
            let Ok(within) = path.strip_prefix(folder) else { continue };
            if within == Path::new("mod.rs") || within == Path::new("compiled.rs") {
                continue;
            }
            let from = module(within);
            let mut imports = names_after(&text, &format!("crate::{folder}::"));
            if within.iter().count() == 1 {
                imports.extend(names_after(&text, "super::"));
            }
            imports.remove(&from);
            graph.entry(from).or_default().extend(imports);
        }
        assert_eq!(circles(&graph), BTreeSet::new(), "{folder}");
    }
}
