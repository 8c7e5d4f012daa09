//! States: taken, loaded, saved.

use std::fs;
use std::path::PathBuf;

use gradus::prelude::*;
use gradus::{
    BatchNorm1d, Difference, Dropout, Member, MemberMut, Path, Relu, State, StateError, StateTensor,
};
use proptest::prelude::*;

use crate::messages::panics;

/// A folder of its own for a test, gone at its end.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("gradus-state-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn model(seed: u64) -> Sequential<f64> {
    let rng = &mut seeded(seed);
    Sequential::new()
        .push(Linear::new(3, 5, rng))
        .push(BatchNorm1d::new(5))
        .push(Relu)
        .push(Dropout::new(0.3, seed))
        .push(Linear::new(5, 2, rng))
}

fn train(model: &mut Sequential<f64>, optimizer: &mut dyn Optimizer<f64>, steps: std::ops::Range<u64>) {
    for step in steps {
        let x = Var::constant(Tensor::randn([8, 3], &mut seeded(step)));
        let loss = model.forward(&x).square().sum(..);
        optimizer.step(model, &loss.backward());
    }
}

#[test]
fn names_are_those_of_pytorch() {
    let state = model(0).state();
    let names: Vec<&str> = state.names().collect();
    let expected = [
        "0.bias",
        "0.weight",
        "1.bias",
        "1.num_batches_tracked",
        "1.running_mean",
        "1.running_var",
        "1.weight",
        "3.key",
        "4.bias",
        "4.weight",
    ];
    assert_eq!(names, expected);
    let folder = Folder::new("names");
    let path = folder.0.join("weights.safetensors");
    model(0).save(&path).unwrap();
    let saved = State::read(&path).unwrap();
    assert!(saved.get("3.key").is_none() && saved.len() == names.len() - 1);
    let mut other = model(1);
    other.load(&path).unwrap();
    assert_eq!(other.state().tensor::<f64>("0.weight"), state.tensor("0.weight"));
}

/// All differences are listed, and the model stays as it was.
#[test]
fn every_difference_is_listed() {
    let mut state = model(0).state();
    state.remove("0.bias");
    state.insert("extra", Tensor::from([1.0]));
    state.insert("4.weight", Tensor::<f64>::zeros([5, 2]));
    state.insert("1.weight", Tensor::<f32>::zeros([5]));
    let mut other = model(1);
    let before = other.state();
    let error = other.load_state(&state).unwrap_err();
    assert_eq!(other.state(), before);
    assert_eq!(
        error.to_string(),
        "load_state: the state does not fit the model\n  \
         0.bias: missing in the state\n  \
         1.weight: f32 in the state, f64 in the model; `State::convert` converts\n  \
         4.weight: shape [5, 2] in the state, [2, 5] in the model\n  \
         extra: not in the model"
    );
    let StateError::Mismatch(differences) = error else { panic!("a mismatch") };
    assert_eq!(differences[3], Difference::Unexpected("extra".into()));
    // What was asked for by name is loaded, and the rest reported.
    let report = other.load_partial(&state, |name| name.starts_with("0.")).unwrap();
    assert_eq!((report.loaded, report.missing), (vec!["0.weight".into()], vec!["0.bias".to_string()]));
    assert!(report.unused.contains(&"4.bias".to_string()));
    assert_eq!(other.state().tensor::<f64>("0.weight"), state.tensor("0.weight"));
}

#[test]
fn optimizers_refuse_states_of_others() {
    let (mut trained, mut adam) = (model(0), Adam::<f64>::new(0.01));
    train(&mut trained, &mut adam, 0..2);
    let state = adam.state();
    let mut other = Adam::<f64>::new(0.01).betas(0.8, 0.9);
    let error = other.load_state(&state).unwrap_err().to_string();
    assert!(error.contains("its options are") && error.contains("0.8"), "{error}");
    let error = Adam::<f64>::new(0.01).load_state(&State::new()).unwrap_err().to_string();
    assert!(error.contains("it has no version; version 1 can be loaded"), "{error}");
    let error = Adam::<f32>::new(0.01).load_state(&state).unwrap_err().to_string();
    assert!(error.contains("must be a tensor of f32"), "{error}");
    let mut broken = state.clone();
    broken.remove("parameters.0.bias.1");
    let error = Adam::<f64>::new(0.01).load_state(&broken).unwrap_err().to_string();
    assert!(error.contains("`parameters.0.bias.1` must be a tensor of f64"), "{error}");
}

#[test]
fn gradients_of_another_model_are_an_error() {
    let original = Linear::<f64>::new(2, 1, &mut seeded(0));
    let mut clone = original.clone();
    let gradients = original.forward(Var::constant([1.0, 2.0])).sum(..).backward();
    panics(
        || Sgd::new(0.1).step(&mut clone, &gradients),
        "step: none of the 2 parameters of the model has one of the 2 gradients: they are of another model (a clone has \
         parameters of its own)",
    );
}

/// A file is replaced as a whole or not at all.
#[test]
fn writing_leaves_the_old_file_or_the_new_one() {
    let folder = Folder::new("atomic");
    let path = folder.0.join("weights.safetensors");
    model(0).save(&path).unwrap();
    let old = fs::read(&path).unwrap();
    let error = model(1).save(&folder.0).unwrap_err().to_string();
    assert!(error.starts_with("write ") && error.contains("folder"), "{error}");
    let missing = folder.0.join("no such folder").join("weights.safetensors");
    assert!(matches!(model(1).save(missing).unwrap_err(), StateError::Io { action: "write", .. }));
    assert_eq!(fs::read(&path).unwrap(), old);
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1, "no temporary file is left");
    assert!(matches!(State::read(&folder.0).unwrap_err(), StateError::Io { action: "read", .. }));
}

/// Threads that write one file at the same time leave the file of one of them.
#[test]
fn writers_do_not_mix() {
    let folder = Folder::new("writers");
    let path = folder.0.join("weights.safetensors");
    let states: Vec<State> = (0..4).map(|seed| model(seed).state()).collect();
    std::thread::scope(|scope| {
        for state in &states {
            scope.spawn(|| (0..20).for_each(|_| state.write(&path).unwrap()));
        }
    });
    assert!(states.contains(&State::read(&path).unwrap()));
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1, "no temporary file is left");
}

fn tensors_of_all_types() -> impl Strategy<Value = State> {
    let shape = prop::collection::vec(0..4_usize, 0..4);
    let names = prop::collection::btree_set("[a-z]{1,3}(\\.[0-9])?", 0..6);
    (names, shape, any::<u64>(), any::<bool>()).prop_map(|(names, shape, seed, turned)| {
        let mut state = State::new();
        for (i, name) in names.into_iter().enumerate() {
            // Any bits: NaN with payloads, infinities, numbers that are next to nothing.
            let bits = Tensor::<f64>::rand(&shape, &mut seeded(seed.wrapping_add(i as u64)));
            let turn = |x: Tensor<f64>| if turned && x.rank() > 1 { x.transpose(0, 1) } else { x };
            let tensor: StateTensor = match i % 4 {
                0 => turn(bits.map(|x| f64::from_bits(x.to_bits().rotate_left(31)))).into(),
                1 => turn(bits).map(|x| f32::from_bits(x.to_bits() as u32)).into(),
                2 => turn(bits).map(|x| x.to_bits() as i64).into(),
                _ => turn(bits).gt(0.5).into(),
            };
            state.insert(name, tensor);
        }
        state.metadata_mut().insert("seed".into(), seed.to_string());
        state
    })
}

/// Equal names, types, shapes and bits.
pub(super) fn same(a: &State, b: &State) -> bool {
    let bits = |state: &State| -> Vec<(String, Vec<usize>, Vec<u64>)> {
        let of = |tensor: &StateTensor| match tensor {
            StateTensor::F64(tensor) => tensor.iter().map(f64::to_bits).collect(),
            StateTensor::F32(tensor) => tensor.iter().map(|x| u64::from(x.to_bits())).collect(),
            StateTensor::I64(tensor) => tensor.iter().map(|x| x as u64).collect(),
            StateTensor::Bool(tensor) => tensor.iter().map(u64::from).collect(),
            other => panic!("{other:?}"),
        };
        state
            .iter()
            .map(|(name, tensor)| (format!("{name} {}", tensor.dtype()), tensor.shape().into(), of(tensor)))
            .collect()
    };
    bits(a) == bits(b) && a.metadata() == b.metadata()
}

proptest! {
    #[test]
    fn what_is_written_is_read(state in tensors_of_all_types()) {
        let bytes = state.to_bytes().unwrap();
        prop_assert!(same(&State::from_bytes(&bytes).unwrap(), &state));
    }

    /// Files that end early or have wrong bytes are refused, or hold other numbers; nothing panics.
    #[test]
    fn broken_files_are_refused(state in tensors_of_all_types(), cut: prop::sample::Index, flips in prop::collection::vec(any::<(prop::sample::Index, u8)>(), 0..4)) {
        let mut bytes = state.to_bytes().unwrap();
        let end = cut.index(bytes.len());
        prop_assert!(State::from_bytes(&bytes[..end]).is_err());
        for (place, byte) in flips {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let _ = State::from_bytes(&bytes);
    }
}

#[test]
fn half_precision_widens_without_loss() {
    let mut state = State::new();
    let numbers = Tensor::from([1.5_f32, -0.25, 65504.0]);
    state.insert("f16", StateTensor::F16(numbers.clone()));
    state.insert("bf16", StateTensor::Bf16(Tensor::from([1.5_f32, -0.25, 3e38])));
    let read = State::from_bytes(&state.to_bytes().unwrap()).unwrap();
    assert_eq!(read.get("f16"), state.get("f16"));
    let (single, error) = read.convert::<f32>();
    assert_eq!((single.tensor::<f32>("f16"), error), (Some(&numbers), 0.0));
    // Too large for single precision.
    state.insert("large", Tensor::from([1e300_f64]));
    assert_eq!(state.convert::<f32>().1, f64::INFINITY);
}

/// Saves a parameter and loads it, into another one and into itself.
fn kept<T: gradus::Float>(numbers: Vec<T>, path: &std::path::Path) {
    let mut parameter = Parameter::new(Tensor::from(numbers));
    parameter.save(path).unwrap();
    let mut other = Parameter::new(Tensor::<T>::zeros(parameter.shape()));
    other.load(path).unwrap();
    assert!(same(&other.state(), &parameter.state()));
    parameter.load(path).unwrap();
    assert!(same(&other.state(), &parameter.state()));
}

/// NaN with any payload, infinities, zeros and numbers below the smallest normal one: the same bits in a model and its file.
#[test]
fn every_bit_is_kept() {
    let folder = Folder::new("bits");
    let path = folder.0.join("weights.safetensors");
    let bits = [0, 1, 0x7f80_0000, 0x7f80_0001, 0x7fc1_2345, 0x7fff_ffff, 0x0080_0000];
    kept(bits.into_iter().flat_map(|x| [x, x | 1 << 31]).map(f32::from_bits).collect(), &path);
    let bits = [0, 1, 0x7ff0 << 48, (0x7ff0 << 48) + 1, (0x7ff8 << 48) + 9, u64::MAX >> 1, 0x0010 << 48];
    kept(bits.into_iter().flat_map(|x| [x, x | 1 << 63]).map(f64::from_bits).collect(), &path);
    // Halves come back as they are, if NaN is a quiet one.
    let halves = |infinity: u16, quiet: u16| {
        let bits = [0, 1, infinity, infinity + quiet, infinity + quiet + 1, infinity - 1];
        bits.into_iter().flat_map(|x| [x, x | 1 << 15]).flat_map(u16::to_le_bytes).collect::<Vec<u8>>()
    };
    for (dtype, data) in [("F16", halves(0x7c00, 0x0200)), ("BF16", halves(0x7f80, 0x0040))] {
        let header = format!("{{\"x\":{{\"dtype\":\"{dtype}\",\"shape\":[12],\"data_offsets\":[0,24]}}}}");
        let file = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat();
        let written = State::from_bytes(&file).unwrap().to_bytes().unwrap();
        assert!(written.ends_with(&data), "{dtype}: {:?}, not {data:?}", &written[written.len() - 24..]);
    }
}

/// Two members that are saved under one name could not both be loaded.
#[test]
fn names_must_differ() {
    struct Twice(Linear, Linear);
    impl Module for Twice {
        fn visit<'a>(&'a self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, Member<'a, f32>)) {
            self.0.visit(path, visitor);
            self.1.visit(path, visitor);
        }
        fn visit_mut<'a>(
            &'a mut self,
            path: Path<'_>,
            visitor: &mut dyn FnMut(Path<'_>, MemberMut<'a, f32>),
        ) {
            self.0.visit_mut(path, visitor);
            self.1.visit_mut(path, visitor);
        }
    }
    let [first, second] = [0, 1].map(|seed| Linear::new(2, 1, &mut seeded(seed)));
    let twice = Twice(first, second);
    panics(
        || twice.state(),
        "state: the model has two members of the name bias; names must differ to be loaded again",
    );
}

proptest! {
    /// Integers come back as they are, or as an error in a type that cannot hold them.
    #[test]
    fn integers_come_back(signed: i64, unsigned: u64) {
        let mut state = State::new();
        state.insert("signed", signed);
        state.insert("unsigned", unsigned);
        state.insert("size", unsigned as usize);
        state.insert("small", signed as i32);
        let state = State::from_bytes(&state.to_bytes()?)?;
        prop_assert_eq!(state.value::<i64>("signed")?, signed);
        prop_assert_eq!(state.value::<u64>("unsigned")?, unsigned);
        prop_assert_eq!(state.value::<usize>("size")?, unsigned as usize);
        prop_assert_eq!(state.value::<i32>("small")?, signed as i32);
        prop_assert_eq!(state.value::<i32>("signed").ok(), i32::try_from(signed).ok());
        prop_assert_eq!(state.value::<u32>("signed").ok(), u32::try_from(signed).ok());
    }
}
