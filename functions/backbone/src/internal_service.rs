//! Who may post events: the registry, by the credentials of its internal service.

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

type Hash = [u8; 32];

/// How many secrets hold at the same time: the old one and the new one while a secret is replaced.
const SECRETS_MAX: usize = 2;

/// What the internal service must show. Of the secret only hashes are known here.
#[derive(Clone, Debug)]
pub struct InternalService {
    id_hash: Hash,
    secret_hashes: Vec<Hash>,
}

impl InternalService {
    /// The service `id`, whose secret has one of the SHA-256 hashes in `secret_hashes`: 64 hexadecimal digits each,
    /// separated by commas, two at most. `None` if they are something else, or if the id is blank.
    #[must_use]
    pub fn parse(id: &str, secret_hashes: &str) -> Option<Self> {
        let secret_hashes: Vec<_> =
            secret_hashes.split(',').map(|hash| hash_from_hex(hash.trim())).collect::<Option<_>>()?;
        let id = id.trim();
        let fits = !id.is_empty() && secret_hashes.len() <= SECRETS_MAX;
        fits.then(|| Self { id_hash: hash(id), secret_hashes })
    }

    /// Whether these are the service's credentials. How long that takes says nothing about how far off they are.
    #[must_use]
    pub fn admits(&self, id: &str, secret: &str) -> bool {
        let secret = hash(secret);
        let is_its = self.secret_hashes.iter().map(|known| known.ct_eq(&secret));
        bool::from(self.id_hash.ct_eq(&hash(id)) & is_its.fold(Choice::from(0), |any, one| any | one))
    }
}

fn hash(text: &str) -> Hash {
    Sha256::digest(text.as_bytes()).into()
}

fn hash_from_hex(text: &str) -> Option<Hash> {
    let digits: Vec<u8> =
        text.chars().map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| (pair[0] << 4) | pair[1]).collect();
    if digits.len() == 64 { bytes.try_into().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `hush`, by `sha256sum`.
    const HUSH: &str = "dc8331bcb2283e89d275a1c2fe66f7bf5ac3163ec1967f149dd7e27906365f0c";

    fn hex(text: &str) -> String {
        hash(text).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    }

    #[test]
    fn both_must_be_right() {
        let service = InternalService::parse("registry", HUSH).unwrap();
        assert!(service.admits("registry", "hush"));
        for (id, secret) in
            [("registry", "hus"), ("registry", ""), ("registrx", "hush"), ("", "hush"), ("", "")]
        {
            assert!(!service.admits(id, secret), "{id} {secret}");
        }
    }

    #[test]
    fn two_secrets_hold_while_one_replaces_the_other() {
        let service =
            InternalService::parse("registry", &format!("{}, {}", hex("old"), hex("new").to_uppercase()));
        let service = service.unwrap();
        assert!(service.admits("registry", "old") && service.admits("registry", "new"));
        assert!(!service.admits("registry", "older"));
    }

    #[test]
    fn only_hashes_are_taken() {
        let (good, short, long) = (hex("x"), &hex("x")[1..], format!("{}0", hex("x")));
        for hashes in ["", "hush", short, &long, &format!("{good},"), &format!("{good},{good},{good}")] {
            assert!(InternalService::parse("registry", hashes).is_none(), "{hashes}");
        }
        assert!(InternalService::parse(" ", &good).is_none());
        assert!(InternalService::parse("registry", &good).is_some());
    }
}
