//! States in files: the safetensors format.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use gradus_autograd::{Element, Tensor, file};
use half::{bf16, f16};
use safetensors::tensor::{Dtype as FileDtype, SafeTensors, TensorView};
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::State;
use super::error::StateError;
use super::value::StateTensor;

impl State {
    /// Reads a file in safetensors format, PyTorch's for example.
    ///
    /// # Errors
    /// If the file cannot be read, or is not such a file: truncated, with ranges that overlap or leave gaps, sizes that do
    /// not fit, two tensors of one name, or elements other than floats of 16, 32 or 64 bits, integers and `bool`. Integers of every
    /// width but `u64` become `i64`.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, StateError> {
        let path = path.as_ref();
        let bytes =
            fs::read(path).map_err(|source| StateError::Io { action: "read", path: path.into(), source })?;
        Self::from_bytes(&bytes).map_err(|error| match error {
            StateError::Malformed { fault, .. } => StateError::Malformed { path: path.into(), fault },
            other => other,
        })
    }

    /// Like [`read`](Self::read), from the contents of a file.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StateError> {
        let malformed = |fault: String| StateError::Malformed { path: PathBuf::new(), fault };
        // Checks all ranges and sizes against each other and the length of the file, before anything is allocated.
        let views = SafeTensors::deserialize(bytes).map_err(|error| malformed(error.to_string()))?;
        let (header, metadata) =
            SafeTensors::read_metadata(bytes).map_err(|error| malformed(error.to_string()))?;
        check_names(&bytes[8..8 + header]).map_err(|error| malformed(error.to_string()))?;
        let mut state = Self::new();
        for (name, view) in views.iter() {
            let tensor = tensor(&view).map_err(|fault| malformed(format!("tensor {name:?}: {fault}")))?;
            state.insert(name, tensor);
        }
        state.metadata_mut().extend(metadata.metadata().clone().unwrap_or_default());
        Ok(state)
    }

    /// The contents of a file in safetensors format.
    ///
    /// # Errors
    /// If a tensor has no such form, which none of a [`State`] does.
    pub fn to_bytes(&self) -> Result<Vec<u8>, StateError> {
        let data: Vec<(&str, FileDtype, &[usize], Vec<u8>)> =
            self.iter().map(|(name, tensor)| (name, dtype(tensor), tensor.shape(), bytes(tensor))).collect();
        let views = data.iter().map(|(name, dtype, shape, bytes)| {
            let view =
                TensorView::new(*dtype, shape.to_vec(), bytes).expect("as many bytes as the shape has");
            (*name, view)
        });
        let metadata = (!self.metadata().is_empty()).then(|| self.metadata().clone().into_iter().collect());
        safetensors::serialize(views, metadata)
            .map_err(|error| StateError::Malformed { path: PathBuf::new(), fault: error.to_string() })
    }

    /// Writes a file in safetensors format, at once: if the program or the machine stops on the way, the old file or the
    /// new one is there, whole. NaN and infinities are written as they are.
    ///
    /// The data goes to a new file in the same folder, which then takes the old one's name. A program that is killed on
    /// the way leaves a file `NAME.PROCESS-NUMBER.tmp` there, which nothing reads.
    ///
    /// A checkpoint is everything that training changes, in one file:
    ///
    /// ```
    /// use gradus_autograd::{Tensor, Var, seeded};
    /// use gradus_nn::{Adam, Linear, Losses, Module, Optimizer, ReduceLrOnPlateau, State};
    ///
    /// # let path = std::env::temp_dir().join(format!("gradus-write-{}.safetensors", std::process::id()));
    /// let mut rng = seeded(0);
    /// let mut model = Linear::<f32>::new(2, 1, &mut rng);
    /// let (mut adam, mut plateau, mut epoch) = (Adam::new(0.1), ReduceLrOnPlateau::min(), 0);
    ///
    /// if path.exists() {
    ///     let checkpoint = State::read(&path)?;
    ///     adam.load_state(&checkpoint.part("adam."))?;
    ///     plateau.load_state(&checkpoint.part("plateau."))?;
    ///     (rng, epoch) = (checkpoint.value("rng")?, checkpoint.value("epoch")?);
    ///     model.load_state(&checkpoint.part("model."))?; // last: after any error it is as it was
    /// }
    /// while epoch < 3 {
    ///     let x = Var::constant(Tensor::randn([8, 2], &mut rng));
    ///     let loss = model.forward(&x).mse_loss(&Tensor::zeros([8, 1]));
    ///     plateau.observe(f64::from(loss.item()), &mut adam);
    ///     adam.step(&mut model, &loss.backward());
    ///     epoch += 1;
    ///
    ///     let mut checkpoint = State::new();
    ///     checkpoint.insert_part("model.", &model.state());
    ///     checkpoint.insert_part("adam.", &adam.state());
    ///     checkpoint.insert_part("plateau.", &plateau.state());
    ///     checkpoint.insert("rng", &rng);
    ///     checkpoint.insert("epoch", epoch);
    ///     checkpoint.write(&path)?;
    /// }
    /// # assert_eq!(State::read(&path)?.value::<i64>("epoch")?, 3);
    /// # std::fs::remove_file(&path).unwrap();
    /// # Ok::<(), gradus_nn::StateError>(())
    /// ```
    ///
    /// # Errors
    /// If the file cannot be written. The old one is as it was.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), StateError> {
        let path = path.as_ref();
        let bytes = self.to_bytes()?;
        file::replace(path, &bytes).map_err(|source| StateError::Io {
            action: "write",
            path: path.into(),
            source,
        })
    }
}

/// Refuses a header that names a tensor twice: a reader would take either.
fn check_names(header: &[u8]) -> Result<(), serde_json::Error> {
    struct Names;
    impl<'de> Visitor<'de> for Names {
        type Value = ();
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            let mut names = BTreeSet::new();
            while let Some((name, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
                if let Some(name) = names.replace(name) {
                    return Err(A::Error::custom(format!("two tensors have the name {name:?}")));
                }
            }
            Ok(())
        }
    }
    serde_json::Deserializer::from_slice(header).deserialize_map(Names)
}

/// The elements of a view. They may begin at any byte.
fn tensor(view: &TensorView) -> Result<StateTensor, String> {
    fn elements<const N: usize, E: Element>(view: &TensorView, element: impl Fn([u8; N]) -> E) -> Tensor<E> {
        let data = view.data().as_chunks().0.iter().map(|&bytes| element(bytes)).collect();
        Tensor::from_vec(data, view.shape()).expect("as many elements as the shape has")
    }
    Ok(match view.dtype() {
        FileDtype::F32 => elements(view, f32::from_le_bytes).into(),
        FileDtype::F64 => elements(view, f64::from_le_bytes).into(),
        FileDtype::F16 => StateTensor::F16(elements(view, |bytes| f16::from_le_bytes(bytes).to_f32())),
        FileDtype::BF16 => StateTensor::Bf16(elements(view, |bytes| bf16::from_le_bytes(bytes).to_f32())),
        FileDtype::I64 => elements(view, i64::from_le_bytes).into(),
        FileDtype::I32 => elements(view, |bytes| i64::from(i32::from_le_bytes(bytes))).into(),
        FileDtype::I16 => elements(view, |bytes| i64::from(i16::from_le_bytes(bytes))).into(),
        FileDtype::I8 => elements(view, |bytes| i64::from(i8::from_le_bytes(bytes))).into(),
        FileDtype::U32 => elements(view, |bytes| i64::from(u32::from_le_bytes(bytes))).into(),
        FileDtype::U16 => elements(view, |bytes| i64::from(u16::from_le_bytes(bytes))).into(),
        FileDtype::U8 => elements(view, |[byte]: [u8; 1]| i64::from(byte)).into(),
        FileDtype::BOOL => elements(view, |[byte]: [u8; 1]| byte != 0).into(),
        other => {
            return Err(format!(
                "elements of type {other:?}; floats of 16, 32 and 64 bits, integers and bool can be read"
            ));
        }
    })
}

fn dtype(tensor: &StateTensor) -> FileDtype {
    match tensor {
        StateTensor::F32(_) => FileDtype::F32,
        StateTensor::F64(_) => FileDtype::F64,
        StateTensor::F16(_) => FileDtype::F16,
        StateTensor::Bf16(_) => FileDtype::BF16,
        StateTensor::I64(_) => FileDtype::I64,
        StateTensor::I8(_) => FileDtype::I8,
        StateTensor::U8(_) => FileDtype::U8,
        StateTensor::Bool(_) => FileDtype::BOOL,
    }
}

/// The elements in logical order, as the file holds them.
fn bytes(tensor: &StateTensor) -> Vec<u8> {
    match tensor {
        StateTensor::F32(tensor) => tensor.iter().flat_map(f32::to_le_bytes).collect(),
        StateTensor::F64(tensor) => tensor.iter().flat_map(f64::to_le_bytes).collect(),
        StateTensor::F16(tensor) => tensor.iter().flat_map(|x| f16::from_f32(x).to_le_bytes()).collect(),
        StateTensor::Bf16(tensor) => tensor.iter().flat_map(|x| bf16::from_f32(x).to_le_bytes()).collect(),
        StateTensor::I64(tensor) => tensor.iter().flat_map(i64::to_le_bytes).collect(),
        StateTensor::I8(tensor) | StateTensor::U8(tensor) => tensor.iter().map(|x| x as u8).collect(),
        StateTensor::Bool(tensor) => tensor.iter().map(u8::from).collect(),
    }
}
