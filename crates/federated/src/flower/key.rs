//! The identity of a node: a key of the curve P-384, and signed headers.

use std::time::{SystemTime, UNIX_EPOCH};

use p384::SecretKey;
use p384::ecdsa::signature::hazmat::PrehashSigner;
use p384::ecdsa::{DerSignature, SigningKey};
use p384::pkcs8::{DecodePrivateKey, EncodePublicKey, LineEnding};
use sha2::{Digest, Sha256};

use super::FlowerError;

/// The key by which a server knows a node: of the curve P-384 (FIPS 186-5), as Flower's own nodes have it.
#[derive(Clone)]
pub struct NodeKey {
    secret: SigningKey,
    public: String,
}

impl std::fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NodeKey({:?})", self.public)
    }
}

impl NodeKey {
    /// A new key, from the generator of the operating system.
    ///
    /// # Errors
    /// If the operating system gives no random bytes.
    pub fn generate() -> Result<Self, FlowerError> {
        loop {
            let mut bytes = [0; 48];
            getrandom::fill(&mut bytes).map_err(FlowerError::Randomness)?;
            // Fails only for 0 and numbers beyond the order of the curve.
            if let Ok(secret) = SecretKey::from_slice(&bytes) {
                return Self::of(&secret);
            }
        }
    }

    /// A key from a file in the format PKCS 8, `-----BEGIN PRIVATE KEY-----`, as `openssl genpkey -algorithm EC -pkeyopt
    /// ec_paramgen_curve:P-384` writes it. `ssh-keygen -p -m PKCS8` converts one of OpenSSH.
    ///
    /// # Errors
    /// If the text is no such key.
    pub fn from_pkcs8_pem(text: &str) -> Result<Self, FlowerError> {
        let secret = SecretKey::from_pkcs8_pem(text).map_err(|error| FlowerError::Settings {
            operation: "NodeKey::from_pkcs8_pem",
            fault: format!("it is no private key of the curve P-384 in PKCS 8: {error}"),
        })?;
        Self::of(&secret)
    }

    fn of(secret: &SecretKey) -> Result<Self, FlowerError> {
        let public = secret.public_key().to_public_key_pem(LineEnding::LF);
        let public = public.map_err(|error| FlowerError::Settings {
            operation: "NodeKey",
            fault: format!("the public key cannot be written: {error}"),
        })?;
        Ok(Self { secret: SigningKey::from(secret), public })
    }

    /// The public key, `-----BEGIN PUBLIC KEY-----`.
    pub fn public_pem(&self) -> &str {
        &self.public
    }

    /// The public key in one line of OpenSSH (RFC 5656): the text of the file that an operator gives to
    /// `flwr supernode register`.
    pub fn public_openssh(&self) -> String {
        const KIND: &str = "ecdsa-sha2-nistp384";
        let point = self.secret.verifying_key().to_sec1_point(false);
        let parts = [KIND.as_bytes(), b"nistp384", point.as_bytes()];
        let part = |part: &[u8]| [&(part.len() as u32).to_be_bytes(), part].concat();
        format!("{KIND} {}\n", base64(&parts.map(part).concat()))
    }

    /// Headers that prove who calls and when.
    pub(super) fn headers(&self, now: SystemTime) -> [(&'static str, String); 3] {
        let time = iso_8601(now);
        let hash: [u8; 32] = Sha256::digest(time.as_bytes()).into();
        let signature: DerSignature =
            self.secret.sign_prehash(&hash).expect("a hash of 32 bytes can be signed");
        [
            ("flwr-public-key", base64(self.public.as_bytes())),
            ("flwr-timestamp", time),
            ("flwr-signature", base64(signature.as_bytes())),
        ]
    }
}

/// The time in UTC as ISO 8601; the date by the algorithm of Hinnant ("chrono-compatible low-level date algorithms", 2013).
fn iso_8601(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, micros) = (since.as_secs(), since.subsec_micros());
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let [hour, minute, second] = [seconds / 3600 % 24, seconds / 60 % 60, seconds % 60];
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}+00:00")
}

/// Base 64 (RFC 4648).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let number =
            (0..3).fold(0, |number, i| number << 8 | usize::from(chunk.get(i).copied().unwrap_or(0)));
        for place in 0..4 {
            text.push(if place <= chunk.len() {
                char::from(DIGITS[number >> (18 - 6 * place) & 63])
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use p384::PublicKey;
    use p384::ecdsa::VerifyingKey;
    use p384::ecdsa::signature::hazmat::PrehashVerifier;
    use p384::pkcs8::DecodePublicKey;

    use super::*;

    #[test]
    fn times_and_base_64() {
        let at = |seconds, micros| {
            iso_8601(UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_micros(micros))
        };
        assert_eq!(at(0, 0), "1970-01-01T00:00:00.000000+00:00");
        assert_eq!(at(951_782_399, 1), "2000-02-28T23:59:59.000001+00:00");
        assert_eq!(at(951_782_400, 0), "2000-02-29T00:00:00.000000+00:00");
        assert_eq!(at(1_796_000_461, 500_000), "2026-11-30T01:01:01.500000+00:00");
        for (text, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(text.as_bytes()), coded);
        }
    }

    /// Written by OpenSSL 3.0, for this test alone.
    const PRIVATE: &str = "\
-----BEGIN PRIVATE KEY-----
MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDCjrkg93WqO4M6Yzwop
3YLX944OD/Idwo7O4ljYX13DADo4RJgIsrt7dKChwWFdDbWhZANiAATXxVBfaPfv
IuQsm9gKZByRTm67jUqAli5G9mUiPhMKqLvTP5XqHM2jpUroAIBoybRwMwWcfssK
26wVGUdLkq/QqccTuKHyCtZ86CJxom+DKzwa5NEmNlgX2wHxkNzwWHo=
-----END PRIVATE KEY-----
";
    const PUBLIC: &str = "\
-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE18VQX2j37yLkLJvYCmQckU5uu41KgJYu
RvZlIj4TCqi70z+V6hzNo6VK6ACAaMm0cDMFnH7LCtusFRlHS5Kv0KnHE7ih8grW
fOgicaJvgys8GuTRJjZYF9sB8ZDc8Fh6
-----END PUBLIC KEY-----
";

    /// By `ssh-keygen -i -m PKCS8`.
    const OPENSSH: &str = "ecdsa-sha2-nistp384 \
        AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBNfFUF9o9+8i5Cyb2ApkHJFObruNSoCWLkb2\
        ZSI+Ewqou9M/leoczaOlSugAgGjJtHAzBZx+ywrbrBUZR0uSr9CpxxO4ofIK1nzoInGib4MrPBrk0SY2WBfbAfGQ3PBYeg==\n";

    /// The bytes of text in base 64.
    fn decoded(text: &str) -> Vec<u8> {
        let digit = |c: u8| (0..64).find(|i| base64(&[i << 2]).as_bytes()[0] == c);
        let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
        for digit in text.bytes().map_while(digit) {
            (bits, count) = (bits << 6 | u32::from(digit), count + 6);
            if count >= 8 {
                count -= 8;
                bytes.push((bits >> count) as u8);
            }
        }
        bytes
    }

    #[test]
    fn headers_prove_who_calls_and_when() {
        let [generated, read] = [NodeKey::generate().unwrap(), NodeKey::from_pkcs8_pem(PRIVATE).unwrap()];
        assert_eq!((read.public_pem(), read.public_openssh().as_str()), (PUBLIC, OPENSSH));
        for key in [generated, read] {
            let [(_, public), (_, time), (_, signature)] = key.headers(UNIX_EPOCH);
            let pem = String::from_utf8(decoded(&public)).unwrap();
            assert_eq!(pem, key.public_pem());
            let verifier = VerifyingKey::from(&PublicKey::from_public_key_pem(&pem).unwrap());
            let signature = DerSignature::from_bytes(&decoded(&signature)).unwrap();
            let verify = |time: &str| {
                let hash: [u8; 32] = Sha256::digest(time.as_bytes()).into();
                verifier.verify_prehash(&hash, &signature)
            };
            verify(&time).unwrap();
            assert!(verify("1970-01-01T00:00:01.000000+00:00").is_err());
        }
        assert!(
            NodeKey::from_pkcs8_pem("-----BEGIN")
                .unwrap_err()
                .to_string()
                .starts_with("NodeKey::from_pkcs8_pem: ")
        );
    }
}
