//! Checkpoints, which rank 0 writes and reads.

use std::io::ErrorKind;
use std::path::Path;

use gradus_nn::{State, StateError};

use crate::error::DistributedError;
use crate::group::{Call, Group, NUMBERS};

/// The first number of [`Call::Load`].
const NOTHING: u64 = 0;
const FILE: u64 = 1;
const ERROR: u64 = 2;

impl Group {
    /// Writes a checkpoint, of which rank 0 alone makes the state, and replaces the old one at once
    /// ([`State::write`]): if a rank dies on the way, the old file or the new one is there, whole. Returns on every rank once
    /// the file is written.
    ///
    /// # Errors
    /// If the file cannot be written, on every rank; or a rank is gone or makes another call.
    pub fn save(
        &self,
        path: impl AsRef<Path>,
        state: impl FnOnce() -> State,
    ) -> Result<(), DistributedError> {
        let written = if self.is_first() { state().write(path).map_err(Into::into) } else { Ok(()) };
        self.agree(Call::Save, written)
    }

    /// Reads a checkpoint on rank 0, if it is there, and gives it to every rank: other machines need not see the file.
    ///
    /// ```
    /// use gradus_autograd::seeded;
    /// use gradus_distributed::Group;
    /// use gradus_nn::{Linear, Module};
    ///
    /// # let path = std::env::temp_dir().join(format!("gradus-group-{}.safetensors", std::process::id()));
    /// let group = Group::single();
    /// let mut model = Linear::<f32>::new(2, 1, &mut seeded(0));
    /// if let Some(checkpoint) = group.load(&path)? {
    ///     model.load_state(&checkpoint)?;
    /// }
    /// group.save(&path, || model.state())?;
    /// assert_eq!(group.load(&path)?, Some(model.state()));
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the file cannot be read, on every rank; or a rank is gone or makes another call.
    pub fn load(&self, path: impl AsRef<Path>) -> Result<Option<State>, DistributedError> {
        let path = path.as_ref();
        let read = match self.is_first().then(|| State::read(path)) {
            None => Ok(None),
            Some(Err(StateError::Io { source, .. })) if source.kind() == ErrorKind::NotFound => Ok(None),
            Some(read) => read.map(Some),
        };
        let (kind, mut bytes, own) =
            match read.and_then(|state| state.as_ref().map(State::to_bytes).transpose()) {
                Ok(None) => (NOTHING, Vec::new(), None),
                Ok(Some(bytes)) => (FILE, bytes, None),
                Err(error) => (ERROR, error.to_string().into_bytes(), Some(error)),
            };
        let mut numbers = [0; NUMBERS];
        numbers[..2].copy_from_slice(&[kind, bytes.len() as u64]);
        let [kind, length, ..] = self.meet(Call::Load, numbers)?[0];
        bytes.resize(length as usize, 0);
        self.broadcast_bytes(Call::Load, &mut bytes)?;
        match (kind, own) {
            (_, Some(error)) => Err(error.into()),
            (NOTHING, _) => Ok(None),
            (FILE, _) => Ok(Some(State::from_bytes(&bytes)?)),
            _ => {
                let message = String::from_utf8_lossy(&bytes).into_owned();
                Err(DistributedError::Elsewhere { rank: 0, message })
            }
        }
    }
}
