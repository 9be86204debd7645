//! The signature over one request (contract 5.2 and 5.4).

use ed25519_dalek::{Signature, VerifyingKey};

use super::encoding::{decode_array, sha256};
use crate::limits::PROOF_SKEW_S_MAX;

/// The first line of every canonical text.
const DOMAIN: &str = "CLAW-PROOF-V1";

/// The headers of a proof, as received.
#[derive(Clone, Copy, Debug)]
pub struct ProofHeaders<'a> {
    /// `X-Claw-Timestamp`
    pub timestamp: Option<&'a str>,
    /// `X-Claw-Nonce`
    pub nonce: Option<&'a str>,
    /// `X-Claw-Body-SHA256`
    pub body_hash: Option<&'a str>,
    /// `X-Claw-Proof`
    pub proof: Option<&'a str>,
}

/// Why a proof does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The timestamp is missing or not digits.
    #[error("proof timestamp is missing or not digits")]
    Timestamp,
    /// The nonce is missing or blank.
    #[error("proof nonce is missing")]
    Nonce,
    /// The body hash or the signature is missing.
    #[error("proof header is missing")]
    Missing,
    /// The timestamp is too far from our clock.
    #[error("proof was signed at {signed_at_s}, and it is {now_s}")]
    Skew {
        /// The proof's clock, in seconds since the Unix epoch.
        signed_at_s: u64,
        /// Ours.
        now_s: u64,
    },
    /// The body is not the one that was hashed.
    #[error("proof is for another body")]
    BodyHash,
    /// The signature does not verify for this method and path.
    #[error("proof signature does not verify")]
    Signature,
}

/// A proof whose headers are there and which is recent; its signature is not checked.
#[derive(Debug)]
pub struct UnverifiedProof<'a> {
    timestamp: &'a str,
    nonce: &'a str,
    body_hash: &'a str,
    proof: &'a str,
}

/// A proof that held. Its nonce has yet to be claimed.
#[derive(Debug)]
pub struct VerifiedProof<'a> {
    nonce: &'a str,
}

impl<'a> UnverifiedProof<'a> {
    /// Looks at presence, form and time, in the contract's order: everything that costs no cryptography.
    ///
    /// # Errors
    ///
    /// [`ProofError::Timestamp`], [`ProofError::Nonce`], [`ProofError::Missing`] or [`ProofError::Skew`]. The edge of
    /// the window, [`PROOF_SKEW_S_MAX`] seconds either way, still passes.
    pub fn parse(headers: ProofHeaders<'a>, now_s: u64) -> Result<Self, ProofError> {
        let present = |header: Option<&'a str>| header.filter(|text| !text.trim().is_empty());
        let timestamp = present(headers.timestamp).ok_or(ProofError::Timestamp)?;
        let nonce = present(headers.nonce).ok_or(ProofError::Nonce)?;
        let body_hash = present(headers.body_hash).ok_or(ProofError::Missing)?;
        let proof = present(headers.proof).ok_or(ProofError::Missing)?;
        if !timestamp.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ProofError::Timestamp);
        }
        // More digits than fit are a time far away.
        let signed_at_s = timestamp.parse().unwrap_or(u64::MAX);
        if now_s.abs_diff(signed_at_s) > PROOF_SKEW_S_MAX {
            return Err(ProofError::Skew { signed_at_s, now_s });
        }
        Ok(Self { timestamp, nonce, body_hash, proof })
    }

    /// Checks that the holder of `key` signed exactly this request.
    ///
    /// `paths` are the forms in which the client may have written the path with its query; one must match. The body's
    /// hash is compared first, because it costs no curve arithmetic.
    ///
    /// # Errors
    ///
    /// [`ProofError::BodyHash`] or [`ProofError::Signature`].
    pub fn verify(
        self,
        key: &[u8; 32],
        method: &str,
        paths: &[&str],
        body: &[u8],
    ) -> Result<VerifiedProof<'a>, ProofError> {
        if sha256(&[body]) != self.body_hash {
            return Err(ProofError::BodyHash);
        }
        let signature = decode_array(self.proof).ok_or(ProofError::Signature)?;
        let signature = Signature::from_bytes(&signature);
        let key = VerifyingKey::from_bytes(key).map_err(|_| ProofError::Signature)?;
        let holds =
            |path: &&str| key.verify_strict(self.canonical(method, path).as_bytes(), &signature).is_ok();
        if paths.iter().any(holds) {
            Ok(VerifiedProof { nonce: self.nonce })
        } else {
            Err(ProofError::Signature)
        }
    }

    /// The text that is signed. It ends in the body's hash, whose form is fixed: were the body itself the end, part
    /// of it could pass for the fields before it.
    fn canonical(&self, method: &str, path: &str) -> String {
        [DOMAIN, &method.to_ascii_uppercase(), path, self.timestamp, self.nonce, self.body_hash].join("\n")
    }
}

impl VerifiedProof<'_> {
    /// SHA-256 of the nonce: the form in which it is remembered, whatever its length.
    #[must_use]
    pub fn nonce_hash(&self) -> String {
        sha256(&[self.nonce.as_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::{Signer, SigningKey};

    const NOW_S: u64 = 1_775_000_000;
    const PATH: &str = "/v1/relay/delivery-receipts";

    struct Signed {
        timestamp: String,
        nonce: String,
        body_hash: String,
        proof: String,
    }

    impl Signed {
        fn headers(&self) -> ProofHeaders<'_> {
            ProofHeaders {
                timestamp: Some(&self.timestamp),
                nonce: Some(&self.nonce),
                body_hash: Some(&self.body_hash),
                proof: Some(&self.proof),
            }
        }
    }

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[7; 32])
    }

    fn sign(timestamp: &str, nonce: &str, body: &[u8]) -> Signed {
        use base64::Engine;
        let body_hash = sha256(&[body]);
        let text = format!("CLAW-PROOF-V1\nPOST\n{PATH}\n{timestamp}\n{nonce}\n{body_hash}");
        let signature = key().sign(text.as_bytes()).to_bytes();
        let proof = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(signature);
        Signed { timestamp: timestamp.into(), nonce: nonce.into(), body_hash, proof }
    }

    fn check(headers: ProofHeaders<'_>, method: &str, path: &str, body: &[u8]) -> Result<(), ProofError> {
        let public = key().verifying_key().to_bytes();
        UnverifiedProof::parse(headers, NOW_S)?.verify(&public, method, &[path], body).map(|_| ())
    }

    #[test]
    fn a_proof_holds_for_its_own_request_only() {
        let signed = sign("1775000000", "n", b"{}");
        assert_eq!(check(signed.headers(), "POST", PATH, b"{}"), Ok(()));
        assert_eq!(
            check(signed.headers(), "post", PATH, b"{}"),
            Ok(()),
            "the method is signed in upper case"
        );
        assert_eq!(check(signed.headers(), "POST", PATH, b"{ }"), Err(ProofError::BodyHash));
        assert_eq!(check(signed.headers(), "GET", PATH, b"{}"), Err(ProofError::Signature));
        assert_eq!(
            check(signed.headers(), "POST", &format!("/prod{PATH}"), b"{}"),
            Err(ProofError::Signature)
        );
        let other = ProofHeaders { nonce: Some("m"), ..signed.headers() };
        assert_eq!(check(other, "POST", PATH, b"{}"), Err(ProofError::Signature));
    }

    #[test]
    fn the_window_is_300_seconds_either_way() {
        for (offset, holds) in [(-301_i64, false), (-300, true), (300, true), (301, false)] {
            let signed = sign(&NOW_S.saturating_add_signed(offset).to_string(), "n", b"");
            assert_eq!(check(signed.headers(), "POST", PATH, b"").is_ok(), holds, "{offset}");
        }
    }

    #[test]
    fn what_is_missing_is_named_in_the_contracts_order() {
        let signed = sign("1775000000", "n", b"");
        let all = signed.headers();
        for (headers, error) in [
            (ProofHeaders { timestamp: None, nonce: None, ..all }, ProofError::Timestamp),
            (ProofHeaders { nonce: Some("  "), proof: None, ..all }, ProofError::Nonce),
            (ProofHeaders { body_hash: None, ..all }, ProofError::Missing),
            (ProofHeaders { timestamp: Some("soon"), proof: None, ..all }, ProofError::Missing),
            (ProofHeaders { timestamp: Some("1775000000.5"), ..all }, ProofError::Timestamp),
            (ProofHeaders { timestamp: Some("-5"), ..all }, ProofError::Timestamp),
        ] {
            assert_eq!(check(headers, "POST", PATH, b""), Err(error));
        }
        let many_digits = ProofHeaders { timestamp: Some("99999999999999999999999"), ..all };
        assert!(matches!(check(many_digits, "POST", PATH, b""), Err(ProofError::Skew { .. })));
    }

    #[test]
    fn part_of_a_body_cannot_pass_for_the_nonce() {
        // The text that is signed for (nonce "n\nX", hash h) must not be that of (nonce "n", hash "X\nh").
        let signed = sign("1775000000", "n\nX", b"");
        let shifted_hash = format!("X\n{}", signed.body_hash);
        let shifted = ProofHeaders { nonce: Some("n"), body_hash: Some(&shifted_hash), ..signed.headers() };
        assert_eq!(check(shifted, "POST", PATH, b""), Err(ProofError::BodyHash));
    }

    #[test]
    fn a_small_order_key_signs_nothing() {
        let mut identity = [0_u8; 32];
        identity[0] = 1;
        let mut signed = sign("1775000000", "n", b"");
        signed.proof = format!("AQ{}", "A".repeat(84)); // R = identity, s = 0
        let proof = UnverifiedProof::parse(signed.headers(), NOW_S).unwrap();
        assert_eq!(proof.verify(&identity, "POST", &[PATH], b"").err(), Some(ProofError::Signature));
    }
}
