//! The part of a network that a client knows.

use crate::error::EncryptedError;
use crate::message::{Envelope, Reader, Setup, checksum};
use crate::network::IntegerNetwork;
use crate::parameters::Parameters;
use crate::plan::{Packing, Plan};

/// The contents of a [`Setup`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Description {
    pub(crate) packing: Packing,
    pub(crate) parameters: Parameters,
    pub(crate) reply_moduli: usize,
    pub(crate) inputs: usize,
    pub(crate) range: (i64, i64),
    pub(crate) input_step: f64,
    pub(crate) outputs: usize,
    pub(crate) output_step: f64,
    /// The layout of the inputs of [`Packing::Single`].
    pub(crate) spread: usize,
    pub(crate) chunk: usize,
    /// The stride of its outputs.
    pub(crate) stride: usize,
    pub(crate) relinearize: bool,
    pub(crate) rotations: Vec<usize>,
}

impl Description {
    pub(crate) fn of(network: &IntegerNetwork, plan: &Plan) -> Self {
        let (spread, chunk) = match plan.steps.first() {
            Some(crate::plan::Step::Spread { outputs, chunk, .. }) => (*outputs, *chunk),
            _ => (1, 1),
        };
        Self {
            packing: plan.packing,
            parameters: plan.parameters,
            reply_moduli: plan.reply_moduli,
            inputs: network.inputs(),
            range: network.input_range().into_inner(),
            input_step: network.input_step,
            outputs: network.outputs(),
            output_step: network.output_step,
            spread,
            chunk,
            stride: plan.stride(),
            relinearize: plan.relinearize,
            rotations: plan.rotations(),
        }
    }

    /// The number of ciphertexts of a query.
    pub(crate) fn query_ciphertexts(&self) -> usize {
        match self.packing {
            Packing::Batch => self.inputs,
            Packing::Single => self.inputs.div_ceil(self.chunk),
        }
    }

    /// The number of ciphertexts of a reply.
    pub(crate) fn reply_ciphertexts(&self) -> usize {
        match self.packing {
            Packing::Batch => self.outputs,
            Packing::Single => 1,
        }
    }

    pub(crate) fn to_message(&self) -> Setup {
        let mut body = vec![u8::from(self.packing == Packing::Single), u8::from(self.relinearize)];
        let numbers = [
            self.parameters.degree as u64,
            self.parameters.moduli.len() as u64,
            self.parameters.plaintext,
            self.reply_moduli as u64,
            self.inputs as u64,
            self.range.0 as u64,
            self.range.1 as u64,
            self.input_step.to_bits(),
            self.outputs as u64,
            self.output_step.to_bits(),
            self.spread as u64,
            self.chunk as u64,
            self.stride as u64,
            self.rotations.len() as u64,
        ];
        let rotations = self.rotations.iter().map(|&by| by as u64);
        numbers.into_iter().chain(rotations).for_each(|number| body.extend_from_slice(&number.to_le_bytes()));
        Setup::new(Envelope { setup: checksum(&body), ..Envelope::default() }, &body)
    }

    /// The contents of a message, if they make sense; parameters that are not of the table, and so perhaps not secure, are
    /// refused.
    pub(crate) fn from_message(message: &Setup) -> Result<Self, EncryptedError> {
        let mut reader = Reader::new(Setup::KIND, message.body());
        let flags: [u8; 2] = reader.array()?;
        let mut numbers = [0; 14];
        for number in &mut numbers {
            *number = reader.number()?;
        }
        let [
            degree,
            count,
            plaintext,
            reply,
            inputs,
            low,
            high,
            input,
            outputs,
            output,
            spread,
            chunk,
            stride,
            rotations,
        ] = numbers;
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let parameters = Parameters::named(size(degree), size(count), plaintext)
            .ok_or_else(|| reader.fault("it has parameters that this crate does not use"))?;
        let row = parameters.row();
        if size(rotations) > row {
            return Err(reader.fault("it asks for more rotations than there are"));
        }
        let rotations =
            (0..rotations).map(|_| Ok(size(reader.number()?))).collect::<Result<Vec<_>, EncryptedError>>()?;
        let description = Self {
            packing: if flags[0] == 1 { Packing::Single } else { Packing::Batch },
            parameters,
            reply_moduli: size(reply),
            inputs: size(inputs),
            range: (low as i64, high as i64),
            input_step: f64::from_bits(input),
            outputs: size(outputs),
            output_step: f64::from_bits(output),
            spread: size(spread),
            chunk: size(chunk),
            stride: size(stride),
            relinearize: flags[1] == 1,
            rotations,
        };
        if flags.iter().any(|&flag| flag > 1) || !description.is_sound() {
            return Err(reader.fault("its numbers contradict each other"));
        }
        if message.envelope().setup != checksum(message.body()) {
            return Err(reader.fault("its digest is wrong"));
        }
        reader.end()?;
        Ok(description)
    }

    fn is_sound(&self) -> bool {
        let (row, (low, high)) = (self.parameters.row(), self.range);
        let half = (self.parameters.plaintext / 2) as i64;
        let layout = match self.packing {
            Packing::Batch => self.rotations.is_empty() && [self.spread, self.chunk, self.stride] == [1; 3],
            Packing::Single => {
                let sizes = [self.spread, self.chunk, self.stride];
                sizes.iter().all(|size| size.is_power_of_two() && *size <= row)
                    && self.spread * self.chunk <= row
                    && self.outputs <= row / self.stride
                    && self.rotations.is_sorted_by(|a, b| a < b)
                    && self.rotations.iter().all(|by| (1..row).contains(by))
            }
        };
        layout
            && (1..=self.parameters.moduli.len()).contains(&self.reply_moduli)
            && (1..=1 << 20).contains(&self.inputs)
            && (1..=1 << 20).contains(&self.outputs)
            && low <= high
            && -half <= low
            && high <= half
            && [self.input_step, self.output_step].iter().all(|step| step.is_finite() && *step > 0.0)
    }
}
