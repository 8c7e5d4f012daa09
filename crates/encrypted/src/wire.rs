//! Ciphertexts and keys as bytes. Unlike the engine's own reader, every number is held against its modulus: the engine computes
//! with whatever it reads, and its arithmetic is only correct for reduced numbers.

use std::sync::Arc;

use fhe::bfv::{BfvParameters, Ciphertext, EvaluationKey, RelinearizationKey};
use fhe::proto::bfv as proto;
use fhe_math::rq::traits::TryConvertFrom;
use fhe_math::rq::{Context, Poly, Representation};
use fhe_traits::{DeserializeParametrized, Serialize};
use prost::Message;

use crate::error::EncryptedError;
use crate::message::Reader;

/// The seed of the second polynomial of a fresh ciphertext.
type Seed = [u8; 32];

fn bits(modulus: u64) -> u32 {
    u64::BITS - (modulus - 1).leading_zeros()
}

/// Appends numbers of `bits` bits each. Their count is a multiple of 8.
fn pack(numbers: &[u64], bits: u32, bytes: &mut Vec<u8>) {
    let (mut pool, mut filled) = (0_u128, 0);
    for &number in numbers {
        pool |= u128::from(number) << filled;
        filled += bits;
        while filled >= 8 {
            bytes.push(pool as u8);
            pool >>= 8;
            filled -= 8;
        }
    }
}

/// Reads numbers of `bits` bits each; `None` if one reaches the modulus.
fn unpack(bytes: &[u8], modulus: u64) -> Option<Vec<u64>> {
    let bits = bits(modulus);
    let mut numbers = Vec::with_capacity(bytes.len() * 8 / bits as usize);
    let (mut pool, mut filled) = (0_u128, 0);
    for &byte in bytes {
        pool |= u128::from(byte) << filled;
        filled += 8;
        if filled >= bits {
            numbers.push(pool as u64 & ((1 << bits) - 1));
            pool >>= bits;
            filled -= bits;
        }
    }
    numbers.iter().all(|&x| x < modulus).then_some(numbers)
}

/// The context of ciphertexts with this number of moduli.
pub(crate) fn context(engine: &BfvParameters, count: usize) -> Result<&Arc<Context>, EncryptedError> {
    Ok(engine.context_at_level(engine.moduli().len() - count)?)
}

/// Appends a ciphertext: its number of polynomials, whether the last is a seed, the seed, and the other polynomials as values
/// at the roots of unity. Only a fresh encryption has a seed.
pub(crate) fn write_ciphertext(ciphertext: &Ciphertext, fresh: bool, bytes: &mut Vec<u8>) {
    let seed = if fresh { proto::Ciphertext::from(ciphertext).seed } else { Vec::new() };
    bytes.push(ciphertext.len() as u8);
    bytes.push(u8::from(!seed.is_empty()));
    bytes.extend_from_slice(&seed);
    let written = ciphertext.len() - usize::from(!seed.is_empty());
    for polynomial in &ciphertext[..written] {
        for (row, &modulus) in polynomial.coefficients().outer_iter().zip(polynomial.ctx().moduli()) {
            pack(row.as_slice().expect("rows are contiguous"), bits(modulus), bytes);
        }
    }
}

/// A ciphertext with this number of moduli and a number of polynomials in `parts`.
pub(crate) fn read_ciphertext(
    reader: &mut Reader<'_>,
    engine: &Arc<BfvParameters>,
    count: usize,
    parts: &[usize],
) -> Result<Ciphertext, EncryptedError> {
    let (found, seeded) = (usize::from(reader.byte()?), reader.byte()?);
    if !parts.contains(&found) || seeded > 1 {
        return Err(reader.fault(format!("a ciphertext has {found} polynomials: it must have {parts:?}")));
    }
    let context = context(engine, count)?;
    let seed = if seeded == 1 { Some(reader.array::<32>()?) } else { None };
    let mut polynomials = Vec::with_capacity(found);
    for _ in 0..found - usize::from(seeded) {
        let mut numbers = Vec::with_capacity(count * engine.degree());
        for &modulus in context.moduli() {
            let packed = reader.take(engine.degree() / 8 * bits(modulus) as usize)?;
            let row = unpack(packed, modulus);
            numbers.extend(
                row.ok_or_else(|| reader.fault("a number of a ciphertext is not below its modulus"))?,
            );
        }
        polynomials.push(Poly::try_convert_from(numbers, context, true, Representation::Ntt)?);
    }
    if let Some(seed) = seed {
        polynomials.push(Poly::random_from_seed(context, Representation::Ntt, seed));
    }
    Ok(Ciphertext::new(polynomials, engine)?)
}

/// A polynomial as the engine writes it in keys.
#[derive(Clone, PartialEq, Message)]
struct Polynomial {
    #[prost(int32, tag = "1")]
    representation: i32,
    #[prost(uint32, tag = "2")]
    degree: u32,
    #[prost(bytes = "vec", tag = "3")]
    coefficients: Vec<u8>,
    #[prost(bool, tag = "4")]
    variable_time: bool,
}

/// The representation of polynomials of keys in the engine's files.
const SHOUP: i32 = 3;

/// The fault of a key that switches ciphertexts of all moduli, if it has one.
fn fault_of_switch(key: Option<&proto::KeySwitchingKey>, engine: &BfvParameters) -> Option<&'static str> {
    let Some(key) = key else { return Some("a key is empty") };
    if key.ciphertext_level != 0 || key.ksk_level != 0 || key.log_base != 0 {
        return Some("a key is for other levels");
    }
    if key.seed.len() != size_of::<Seed>() || !key.c1.is_empty() || key.c0.len() != engine.moduli().len() {
        return Some("a key has another number of polynomials");
    }
    let lengths = || engine.moduli().iter().map(|&q| engine.degree() / 8 * bits(q) as usize);
    for polynomial in &key.c0 {
        let Ok(polynomial) = Polynomial::decode(&polynomial[..]) else {
            return Some("a polynomial of a key cannot be read");
        };
        let mut rest = &polynomial.coefficients[..];
        if polynomial.representation != SHOUP
            || polynomial.degree as usize != engine.degree()
            || rest.len() != lengths().sum::<usize>()
        {
            return Some("a polynomial of a key has another size");
        }
        for (length, &modulus) in lengths().zip(engine.moduli()) {
            let (row, after) = rest.split_at(length);
            if unpack(row, modulus).is_none() {
                return Some("a number of a key is not below its modulus");
            }
            rest = after;
        }
    }
    None
}

fn write_block(block: &[u8], bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&(block.len() as u64).to_le_bytes());
    bytes.extend_from_slice(block);
}

fn read_block<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], EncryptedError> {
    let length = usize::try_from(reader.number()?).unwrap_or(usize::MAX);
    reader.take(length)
}

/// Appends the keys for products and rotations.
pub(crate) fn write_keys(
    relinearize: Option<&RelinearizationKey>,
    rotate: Option<&EvaluationKey>,
    bytes: &mut Vec<u8>,
) {
    write_block(&relinearize.map_or_else(Vec::new, Serialize::to_bytes), bytes);
    write_block(&rotate.map_or_else(Vec::new, Serialize::to_bytes), bytes);
}

/// The keys for products, if they are needed, and for these rotations.
pub(crate) fn read_keys(
    reader: &mut Reader<'_>,
    engine: &Arc<BfvParameters>,
    relinearize: bool,
    rotations: &[usize],
) -> Result<(Option<RelinearizationKey>, Option<EvaluationKey>), EncryptedError> {
    let blocks = [read_block(reader)?, read_block(reader)?];
    if relinearize == blocks[0].is_empty() || rotations.is_empty() != blocks[1].is_empty() {
        return Err(reader.fault("the keys are for another computation"));
    }
    let first = if relinearize {
        let key =
            proto::RelinearizationKey::decode(blocks[0]).map_err(|_| reader.fault("a key cannot be read"))?;
        if let Some(fault) = fault_of_switch(key.ksk.as_ref(), engine) {
            return Err(reader.fault(fault));
        }
        Some(RelinearizationKey::from_bytes(blocks[0], engine)?)
    } else {
        None
    };
    if rotations.is_empty() {
        return Ok((first, None));
    }
    let keys = proto::EvaluationKey::decode(blocks[1]).map_err(|_| reader.fault("a key cannot be read"))?;
    if keys.ciphertext_level != 0 || keys.evaluation_key_level != 0 || keys.gk.len() != rotations.len() {
        return Err(reader.fault("the keys are for another computation"));
    }
    if let Some(fault) = keys.gk.iter().find_map(|key| fault_of_switch(key.ksk.as_ref(), engine)) {
        return Err(reader.fault(fault));
    }
    let keys = EvaluationKey::from_bytes(blocks[1], engine)?;
    if rotations.iter().any(|&by| !keys.supports_column_rotation_by(by)) {
        return Err(reader.fault("a rotation has no key"));
    }
    Ok((first, Some(keys)))
}
