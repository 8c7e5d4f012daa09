//! `#[derive(Module)]`: exact names in the order of the fields, for every kind of struct.

use gradus::prelude::*;
use gradus::{Float, Member, MemberMut, Path, Relu};
use proptest::prelude::*;

/// The names of all parameters; every way to visit must give the same names and parameters.
fn names<T: Float, M: Module<T>>(model: &mut M) -> Vec<String> {
    let mut seen = Vec::new();
    model.visit(Path::ROOT, &mut |path, member| {
        if let Member::Parameter(parameter) = member {
            let name = path.to_string();
            assert!(path == *name && path != *format!("0{name}") && path != *format!("{name}0"));
            seen.push((name, parameter.identity()));
        }
    });
    let mut changed = Vec::new();
    model.visit_mut(Path::ROOT, &mut |path, member| {
        if let MemberMut::Parameter(parameter) = member {
            changed.push((path.to_string(), parameter.identity()));
        }
    });
    assert_eq!(seen, changed);
    let named = model.named_parameters().into_iter().map(|(name, parameter)| (name, parameter.identity()));
    assert_eq!(seen, named.collect::<Vec<_>>());
    let mutable: Vec<_> = model.parameters_mut().into_iter().map(|parameter| parameter.identity()).collect();
    let plain: Vec<_> = model.parameters().into_iter().map(|parameter| parameter.identity()).collect();
    assert_eq!(plain, mutable);
    assert_eq!(plain, seen.iter().map(|(_, identity)| identity.clone()).collect::<Vec<_>>());
    seen.into_iter().map(|(name, _)| name).collect()
}

fn linear<T: Float>() -> Linear<T> {
    Linear::new(2, 3, &mut seeded(0))
}

fn plain<T: Float>() -> Linear<T> {
    linear().without_bias()
}

#[derive(Module)]
struct Named {
    first: Linear,
    scale: Parameter,
    r#type: Linear,
    list: Vec<Linear>,
    pair: [Linear; 2],
    some: Option<Linear>,
    none: Option<Linear>,
    boxed: Box<Linear>,
    triple: (Linear, Relu, (Linear,)),
    layer: Box<dyn gradus::Layer>,
    sequential: Sequential,
    unit: Unit,
    activation: Relu,
    #[module(skip)]
    _note: &'static str,
    tuple: Tuple,
    // Names that the generated code uses, too.
    path: Parameter,
    visitor: Parameter,
}

#[derive(Module)]
struct Tuple(Linear, #[module(skip)] (), Parameter);

#[derive(Module)]
struct Unit;

#[test]
fn all_kinds_of_fields() {
    let mut model = Named {
        first: linear(),
        scale: Parameter::new(1.0),
        r#type: plain(),
        list: vec![plain(), linear()],
        pair: [plain(), plain()],
        some: Some(plain()),
        none: None,
        boxed: Box::new(plain()),
        triple: (plain(), Relu, (plain(),)),
        layer: Box::new(plain()),
        sequential: Sequential::new().push(Relu).push(linear()),
        unit: Unit,
        activation: Relu,
        _note: "skipped",
        tuple: Tuple(plain(), (), Parameter::new(1.0)),
        path: Parameter::new(1.0),
        visitor: Parameter::new(1.0),
    };
    let expected = [
        "first.weight",
        "first.bias",
        "scale",
        "type.weight",
        "list.0.weight",
        "list.1.weight",
        "list.1.bias",
        "pair.0.weight",
        "pair.1.weight",
        "some.weight",
        "boxed.weight",
        "triple.0.weight",
        "triple.2.0.weight",
        "layer.weight",
        "sequential.1.weight",
        "sequential.1.bias",
        "tuple.0.weight",
        "tuple.2",
        "path",
        "visitor",
    ];
    assert_eq!(names::<f32, _>(&mut model), expected);
    assert_eq!(model.parameter_count(), 13 * 6 + 3 * 3 + 4);
    assert_eq!(names::<f32, _>(&mut Tuple(linear(), (), Parameter::new(1.0))), ["0.weight", "0.bias", "2"]);
    // A struct without parameters is a module of any element type.
    assert!(names::<f32, _>(&mut Unit).is_empty() && names::<f64, _>(&mut Unit).is_empty());
    assert_eq!(names::<f32, _>(&mut Parameter::new(1.0)), [""]);
}

#[derive(Module)]
struct Generic<T: Float = f32> {
    inner: Linear<T>,
    list: Vec<Option<Box<Linear<T>>>>,
}

/// Generic in its layers, with a bound, a default, a constant, a lifetime and a `where`.
#[derive(Module)]
struct Composed<'a, A, B: Clone = Linear, const N: usize = 2>
where
    A: Send,
{
    head: A,
    tail: [B; N],
    #[module(skip)]
    _name: &'a str,
}

/// A struct with the name of its content.
mod names {
    #[derive(gradus::Module)]
    pub(crate) struct Linear {
        pub(crate) inner: gradus::Linear,
    }
}

/// A model that contains itself.
#[derive(Module)]
struct Tree {
    own: Linear<f64>,
    children: Vec<Tree>,
}

mod visibility {
    use super::*;

    #[derive(Module)]
    struct Private(Linear<f64>);

    /// A public model may have private parts.
    #[derive(Module)]
    pub(crate) struct Public {
        private: Private,
        hidden: Vec<Private>,
    }

    impl Public {
        pub(crate) fn new() -> Self {
            Self { private: Private(plain()), hidden: vec![Private(plain())] }
        }
    }
}

#[test]
fn generic_structs() {
    let list = || vec![None, Some(Box::new(plain()))];
    let expected = ["inner.weight", "inner.bias", "list.1.weight"];
    assert_eq!(names::<f32, _>(&mut Generic { inner: linear(), list: list() }), expected);
    let list = || vec![None, Some(Box::new(plain()))];
    assert_eq!(names::<f64, _>(&mut Generic { inner: linear(), list: list() }), expected);
    let mut composed: Composed<'_, Tuple, Linear, 3> = Composed {
        head: Tuple(plain(), (), Parameter::new(1.0)),
        tail: [plain(), plain(), linear()],
        _name: "",
    };
    let expected =
        ["head.0.weight", "head.2", "tail.0.weight", "tail.1.weight", "tail.2.weight", "tail.2.bias"];
    assert_eq!(names::<f32, _>(&mut composed), expected);
    assert_eq!(names::<f64, _>(&mut visibility::Public::new()), ["private.0.weight", "hidden.0.0.weight"]);
    assert_eq!(names::<f32, _>(&mut names::Linear { inner: plain() }), ["inner.weight"]);
    let leaf = || Tree { own: plain(), children: vec![] };
    let mut tree =
        Tree { own: plain(), children: vec![leaf(), Tree { own: plain(), children: vec![leaf()] }] };
    let expected =
        ["own.weight", "children.0.own.weight", "children.1.own.weight", "children.1.children.0.own.weight"];
    assert_eq!(names::<f64, _>(&mut tree), expected);
}

proptest! {
    /// Nested lists: a name is the index in each list, and names are in the order of the indices.
    #[test]
    fn nested_lists(lengths in prop::collection::vec(prop::option::of(0..3_usize), 0..5)) {
        let list = |length: &Option<usize>| length.map(|length| (0..length).map(|_| linear::<f64>()).collect::<Vec<_>>());
        let mut model: Vec<Option<Vec<Linear<f64>>>> = lengths.iter().map(list).collect();
        let mut expected = Vec::new();
        for (i, length) in lengths.iter().enumerate() {
            for j in 0..length.unwrap_or(0) {
                expected.extend([format!("{i}.{j}.weight"), format!("{i}.{j}.bias")]);
            }
        }
        prop_assert_eq!(names::<f64, _>(&mut model), expected);
    }

    /// A path of any depth is displayed as its segments, separated by dots.
    #[test]
    fn paths(segments in prop::collection::vec(prop_oneof![(0..30_usize).prop_map(|i| i.to_string()), "[a-z_]{1,5}"], 0..6)) {
        fn walk(path: Path<'_>, segments: &[String]) -> String {
            match segments {
                [] => path.to_string(),
                [first, rest @ ..] => match first.parse() {
                    Ok(index) => walk(path.index(index), rest),
                    Err(_) => walk(path.field(first), rest),
                },
            }
        }
        prop_assert_eq!(walk(Path::ROOT, &segments), segments.join("."));
    }
}
