//! Models that are the same on every rank.

use gradus_autograd::Float;
use gradus_nn::{Member, Module, Path, State};

use crate::error::DistributedError;
use crate::group::{Call, Group, NUMBERS};
use crate::wire::Digest;

impl Group {
    /// Gives every rank the parameters, buffers and counters of rank 0: the beginning of training, after the models were
    /// made and [a checkpoint](Self::load) was loaded, if there is one.
    ///
    /// # Errors
    /// If a rank is gone or makes another call, or the models differ in names, shapes, types or in what is frozen. The
    /// error names the first difference.
    pub fn broadcast<T: Float, M: Module<T>>(&self, model: &mut M) -> Result<(), DistributedError> {
        let call = Call::Broadcast;
        self.check_architecture(model)?;
        if self.size() == 1 {
            return Ok(());
        }
        let mut bytes = Vec::new();
        let state = if self.is_first() { model.state().to_bytes().map(|own| bytes = own) } else { Ok(()) };
        self.agree(call, state.map_err(Into::into))?;
        let length = self.meet(call, first(bytes.len() as u64))?[0][0];
        bytes.resize(length as usize, 0);
        self.broadcast_bytes(call, &mut bytes)?;
        // Rank 0 loads it as well: the numbers that all have are the ones that travelled.
        model.load_state(&State::from_bytes(&bytes)?)?;
        Ok(())
    }

    fn check_architecture<T: Float>(&self, model: &impl Module<T>) -> Result<(), DistributedError> {
        let own = describe(model).join("\n");
        let mut digest = Digest::new();
        digest.bytes(own.as_bytes());
        let mut numbers = first(own.len() as u64);
        numbers[1] = digest.0;
        let all = self.meet(Call::Broadcast, numbers)?;
        if all.iter().all(|numbers| numbers[..2] == all[0][..2]) {
            return Ok(());
        }
        self.check_members(Call::Broadcast, &own)
    }

    /// Compares the members of the models line by line.
    fn check_members(&self, call: Call, own: &str) -> Result<(), DistributedError> {
        let lengths = self.lengths(call, own.len())?;
        let texts = self.gather_bytes(call, own.as_bytes(), &lengths)?;
        let texts: Vec<_> = texts.iter().map(|bytes| String::from_utf8_lossy(bytes)).collect();
        let Some(other) = texts.iter().position(|text| *text != texts[0]) else { return Ok(()) };
        let (mut here, mut there) = (texts[0].lines(), texts[other].lines());
        let pair = loop {
            match (here.next(), there.next()) {
                (a, b) if a == b && a.is_some() => (),
                pair => break pair,
            }
        };
        let [here, there] = [pair.0, pair.1].map(|line| line.unwrap_or("no more members"));
        let fault = format!("rank 0 has {here}, rank {other} has {there}");
        Err(DistributedError::ModelsDiffer { call: call.name(), fault })
    }

    /// The error of ranks whose models have members of other sizes.
    pub(crate) fn models_differ<T: Float>(&self, call: Call, model: &impl Module<T>) -> DistributedError {
        let members = self.check_members(call, &describe(model).join("\n"));
        members.err().unwrap_or_else(|| {
            let fault = "a rank has members of other sizes than rank 0".into();
            DistributedError::ModelsDiffer { call: call.name(), fault }
        })
    }

    /// Checks that all numbers of the model have the same bits on every rank, as they have after
    /// [`broadcast`](Self::broadcast) and the same steps. A check at the end of each epoch costs next to nothing.
    ///
    /// # Errors
    /// If a rank is gone or makes another call, or numbers differ: the error names the first member that does.
    pub fn check_same<T: Float>(&self, model: &impl Module<T>) -> Result<(), DistributedError> {
        let state = model.state();
        let names: Vec<&str> = state.names().collect();
        let mut digests = Vec::with_capacity(names.len());
        for name in &names {
            let mut member = State::new();
            member.insert(*name, state.get(name).expect("it has the name").clone());
            let mut digest = Digest::new();
            digest.bytes(&member.to_bytes()?);
            digests.push(digest.0.cast_signed());
        }
        let mut all = Digest::new();
        for &digest in &digests {
            all.word(digest.cast_unsigned());
        }
        let mut numbers = first(digests.len() as u64);
        numbers[1] = all.0;
        let met = self.meet(Call::CheckSame, numbers)?;
        if met.iter().all(|numbers| numbers[..2] == met[0][..2]) {
            return Ok(());
        }
        let lengths: Vec<usize> = met.iter().map(|numbers| numbers[0] as usize).collect();
        let all = self.gather_elements(Call::CheckSame, &digests, &lengths)?;
        let rank = all.iter().position(|digests| *digests != all[0]).unwrap_or(0);
        let place = all[0].iter().zip(&all[rank]).position(|(a, b)| a != b);
        let name = place.and_then(|place| names.get(place)).copied().unwrap_or("the number of members");
        let fault = format!("{name:?} of rank {rank} is not the same as on rank 0");
        Err(DistributedError::ModelsDiffer { call: "check_same", fault })
    }
}

/// Numbers for [`Group::meet`].
pub(crate) fn first(number: u64) -> [u64; NUMBERS] {
    let mut numbers = [0; NUMBERS];
    numbers[0] = number;
    numbers
}

/// The members of a model, a line each.
fn describe<T: Float>(model: &impl Module<T>) -> Vec<String> {
    let mut lines = Vec::new();
    model.visit(Path::ROOT, &mut |path, member| {
        lines.push(match member {
            Member::Parameter(parameter) => {
                let kind = if parameter.is_trainable() { "parameter" } else { "frozen parameter" };
                format!("{kind} `{path}` of shape {:?}, {}", parameter.shape(), T::NAME)
            }
            Member::Buffer(buffer) => {
                format!("buffer `{path}` of shape {:?}, {}", buffer.value().shape(), T::NAME)
            }
            Member::Counter(_) => format!("counter `{path}`"),
            Member::Packed(packed) => {
                let numbers = packed.to_state();
                format!("numbers `{path}` of shape {:?}, {}", numbers.shape(), numbers.dtype())
            }
            Member::Tied(tied) => format!("second name `{path}` of `{}`", tied.parameter()),
            Member::Mode(_) | Member::Layer(_) => return,
        });
    });
    lines
}
