//! Every operation in the sources has a case that the laws of gradients are held against.
//!
//! The sources are read as text: what is declared in them must be registered, and what is registered must be
//! declared.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use gradus::testing::cases;
use gradus::{Tape, Tensor, Var, vjp_create_graph};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, TestRunner};

/// Functions among the operations that are none, and why.
const NO_OPERATIONS: [(&str, &str); 6] = [
    ("chained", "a product in the rules of others, that of `multiply_no_nan`"),
    ("divided", "a quotient in the rules of others, that of `div`"),
    ("factors", "the two factors of a gradient of a matrix"),
    ("gated", "a product in the rules of others, that of `multiply_no_nan`"),
    ("new", "makes the axes of a reduction"),
    ("restore", "a step of the rules of reductions, made of reshape"),
];

/// Types of operations whose name is not written beside them, or that no case reaches, and why.
const NO_NAMES: [(&str, &str); 8] = [
    ("Quantized<T>", "layers of integers have no derivative"),
    ("$struct $(<$element>)?", "the names are those in `operations!`"),
    ("GradientOf<T>", "it is made inside of `vmap` alone, where the law `Vmap` reaches it"),
    ("Unary<F>", "the names are those in `elementwise!`"),
    ("Binary<F>", "the names are those in `binary_elementwise!`"),
    ("Selected<T>", "it is an instruction of a plan, in place of an operation, and has no gradient"),
    ("Clip", "it changes gradients in a compiled step, and has none"),
    ("ClipValue<T>", "it changes gradients in a compiled step, and has none"),
];

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates")
}

/// The text of all Rust files below a folder.
fn sources(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut texts = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            texts.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            texts.push(fs::read_to_string(&path).unwrap());
        }
    }
    texts
}

/// The lines of a text without comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//"))
}

/// The lines between one that starts with `start` and the bracket that ends its block, at its own depth.
fn block<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
    code(text)
        .skip_while(|line| !line.starts_with(start))
        .skip(1)
        .take_while(|line| !line.starts_with('}'))
        .collect()
}

/// What a line starts with, if that is a name.
fn leading_name(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    (end > 0).then_some(&text[..end])
}

/// The functions and methods in a text that give variables, and are therefore operations.
fn functions(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let text = code(text).collect::<Vec<_>>().join("\n");
    for (start, _) in text.match_indices("fn ") {
        let public = text[..start].ends_with("pub ") || text[..start].ends_with("pub(crate) ");
        // Up to the body, or to the end of a line without one; there are semicolons in types, too.
        let signature = text[start + 3..].split('{').next().unwrap().split(";\n").next().unwrap();
        let result = signature.split("->").last().filter(|_| signature.contains("->")).unwrap_or("");
        if public && (result.contains("Self") || result.contains("Var<")) {
            names.extend(leading_name(signature).map(String::from));
        }
    }
    names
}

/// The names in the blocks of the macros that declare elementwise functions.
fn elementwise(text: &str) -> BTreeSet<String> {
    let declared = |line: &&str| {
        let line = line.strip_prefix("    ")?;
        let name = leading_name(line)?;
        let rest = &line[name.len()..];
        [": ", " {", " at "].iter().any(|end| rest.starts_with(end)).then(|| name.to_string())
    };
    ["elementwise! {", "binary_elementwise! {"]
        .iter()
        .flat_map(|start| block(text, start).iter().filter_map(declared).collect::<Vec<_>>())
        .collect()
}

/// The methods that the operators call, in the list of operators.
fn operators(text: &str) -> BTreeSet<String> {
    let named = |line: &&str| line.split_whitespace().nth(1).map(String::from);
    block(text, "operators! {").iter().filter_map(named).collect()
}

/// The methods of a trait.
fn methods(text: &str, start: &str) -> BTreeSet<String> {
    let lines = block(text, start);
    lines.iter().filter_map(|line| leading_name(line.strip_prefix("    fn ")?)).map(String::from).collect()
}

/// The strings in a text.
fn strings(text: &str) -> BTreeSet<String> {
    text.split('"').skip(1).step_by(2).map(String::from).collect()
}

/// The types in the block of the macro that declares operations, each with the names it can have.
fn operations(text: &str) -> Vec<(String, BTreeSet<String>)> {
    let lines = block(text, "operations! {");
    let declared = |line: &&str| {
        let linearities = ["    Linear ", "    Multilinear ", "    Nonlinear ", "    Nonlinear<T> "];
        let rest = linearities.iter().find_map(|linearity| line.strip_prefix(linearity))?;
        Some((leading_name(rest)?.to_string(), strings(rest)))
    };
    lines.iter().filter_map(declared).collect()
}

/// The types that implement `Operation` in a text, each with the names it can have.
fn implementations(text: &str) -> Vec<(String, BTreeSet<String>)> {
    let text = code(text).collect::<Vec<_>>().join("\n");
    let mut found = operations(&text);
    for part in text.split("Operation<").skip(1) {
        // `T`, or one element type.
        let Some((_, part)) = part.split_once("> for ").filter(|(element, _)| element.len() <= 3) else {
            continue;
        };
        let name = part.split(" {").next().unwrap().to_string();
        let body = part.split("fn name(").nth(1).and_then(|rest| rest.split("fn ").next()).unwrap_or("");
        found.push((name, strings(body)));
    }
    found
}

/// The operations that the sources declare.
fn declared() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for text in sources(&crates().join("autograd/src/ops")) {
        names.extend(functions(&text));
        names.extend(elementwise(&text));
    }
    let read = |path: &str| fs::read_to_string(crates().join(path)).unwrap();
    names.extend(operators(&read("autograd/src/operators.rs")));
    names.extend(methods(&read("nn/src/loss/mod.rs"), "pub trait Losses"));
    for (name, reason) in NO_OPERATIONS {
        assert!(names.remove(name), "`{name}` is exempt ({reason}) and does not exist");
    }
    names
}

/// The operations that are declared as functions of one number or of two.
pub(crate) fn elementwise_operations() -> BTreeSet<String> {
    sources(&crates().join("autograd/src/ops")).iter().flat_map(|text| elementwise(text)).collect()
}

fn registered() -> BTreeSet<String> {
    cases().iter().map(|case| case.name.to_string()).collect()
}

#[test]
fn every_operation_has_a_case() {
    let (declared, registered) = (declared(), registered());
    let without_case: Vec<_> = declared.difference(&registered).collect();
    assert!(without_case.is_empty(), "operations without a case: {without_case:?}");
    let without_operation: Vec<_> = registered.difference(&declared).collect();
    assert!(without_operation.is_empty(), "cases of no operation: {without_operation:?}");
}

/// The names of operations that run when samples of all cases and their gradients do: the laws differentiate
/// those, too.
fn seen() -> BTreeSet<String> {
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::deterministic_rng(Config::default().rng_algorithm),
    );
    let mut names = BTreeSet::new();
    for case in cases() {
        for _ in 0..20 {
            let sample = case.samples.new_tree(&mut runner).unwrap().current();
            let leaves: Vec<Var<f64>> = sample.inputs().iter().map(Var::leaf).collect();
            let y = sample.run_on(&leaves);
            if !y.is_tracked() {
                continue;
            }
            let cotangent = Var::leaf(Tensor::ones(y.shape()));
            let gradients = vjp_create_graph(&y, &cotangent, &leaves.iter().collect::<Vec<_>>());
            for result in gradients.into_iter().flatten().chain([y]) {
                names.extend(Tape::of(&result).iter().map(|entry| entry.operation().to_string()));
            }
        }
    }
    names
}

#[test]
fn every_implementation_of_operation_is_reached_by_a_case() {
    let seen = seen();
    let mut exempt: Vec<&str> = NO_NAMES.iter().map(|(name, _)| *name).collect();
    let mut count = 0;
    for (implementor, names) in sources(&crates()).iter().flat_map(|text| implementations(text)) {
        if let Some(place) = exempt.iter().position(|name| *name == implementor) {
            exempt.remove(place);
            continue;
        }
        assert!(!names.is_empty(), "the name of operation {implementor} was not found");
        for name in names {
            assert!(seen.contains(&name), "no case reaches `{name}` of operation {implementor}");
            count += 1;
        }
    }
    assert!(exempt.is_empty(), "exempt, but without an implementation: {exempt:?}");
    assert!(count > 20, "only {count} names were found");
}

/// A scan that finds nothing proves nothing.
mod negative_controls {
    use super::*;

    const SOURCE: &str = r#"
//! pub fn of_a_comment() -> Var<T>
/// impl<T: Float> Operation<T> for OfAComment {}
impl<T: Float> Operation<T> for Frobnicate {
    fn name(&self) -> &'static str {
        if self.left { "frobnicate" } else { "etacinborf" }
    }
    fn forward(&self, inputs: &Inputs<T>) -> Tensor<T> {
        inputs[0].map("not a name")
    }
}

operations! {
    /// Linear OfAComment {}: "comment",
    Linear Stretch { by: f64 }: if *by < 1.0 { "shrink" } else { "stretch" },
        shape |x| named_shape("not a name", x[0]),
        forward |x| x[0] * T::from_f64(*by),
        vjp |context, _| context.cotangent() * T::from_f64(*by);

    Multilinear Wedge {}: "wedge",
        shape |x| wedge_shape(x[0], x[1]),
        forward |x| x[0].wedge(x[1]),
        vjp |context, input| context.input(1 - input).wedge(context.cotangent());

    Nonlinear<T> Fold(over: Reduced): "fold",
        shape |x| reduced_shape("not a name", x[0], &over.axes()),
        forward |x| x[0].fold(over.axes()),
        saves Saves::OUTPUT,
        vjp |context, _| context.output();
}

elementwise! {
    /// Words: that look like a declaration.
    gudermann: Gudermann |x| x.sinh().atan(), from input |x| x.cosh().reciprocal(), on -2.0..2.0;
    shrink { width: f64 in 0.5..1.5 }: Shrink |x| { let y = x.gt(width); y.select(x, 0.0) },
        from input |x| x.gt(width), on -2.0..2.0;
}

binary_elementwise! {
    geomean: Geomean |x, y| x.exp() + y.exp(), {
        let total: R = x;
        [x, y]
    };
}

impl<T: Float> Var<T> {
    pub fn swirl(
        &self,
        axes: [isize; 2],
    ) -> Self {
        apply(Swirl { axes }, &[self])
    }
    pub fn shards(&self, count: usize) -> Vec<Self> { self.parts() }
    pub fn argmax(&self, axis: isize) -> Tensor<i64> { self.value().argmax(axis) }
    fn private(&self) -> Self { self.clone() }
}
pub(crate) fn meshgrid<T: Float>(x: &Var<T>) -> [Var<T>; 2] { x.parts() }
operators! {
    Rem rem RemAssign rem_assign
}
pub trait Losses<T: Float>: Sized {
    #[track_caller]
    fn hinge_loss(&self, target: impl Into<Var<T>>) -> Var<T>;
}
fn after() {}
"#;

    fn set<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
        names.into_iter().map(String::from).collect()
    }

    #[test]
    fn declarations_are_found() {
        assert_eq!(functions(SOURCE), set(["meshgrid", "shards", "swirl"]));
        assert_eq!(elementwise(SOURCE), set(["gudermann", "geomean", "shrink"]));
        assert_eq!(operators(SOURCE), set(["rem"]));
        assert_eq!(methods(SOURCE, "pub trait Losses"), set(["hinge_loss"]));
        let expected: [(&str, &[&str]); 4] = [
            ("Stretch", &["shrink", "stretch"]),
            ("Wedge", &["wedge"]),
            ("Fold", &["fold"]),
            ("Frobnicate", &["etacinborf", "frobnicate"]),
        ];
        let of = |(name, names): (&str, &[&str])| {
            (name.to_string(), names.iter().map(ToString::to_string).collect::<BTreeSet<_>>())
        };
        assert_eq!(implementations(SOURCE), expected.map(of));
    }

    #[test]
    fn what_is_found_here_is_not_registered() {
        let all = functions(SOURCE).into_iter().chain(elementwise(SOURCE));
        let registered = registered();
        assert!(all.chain(operators(SOURCE)).all(|name| !registered.contains(&name)));
        let seen = seen();
        assert!(!seen.contains("frobnicate") && !seen.contains("wedge"));
    }
}
