//! Finding in log lines what must not be there.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;

/// Shorter texts are found by accident.
const PART_BYTES_MIN: usize = 12;
/// A signature: 64 bytes in base64.
const SIGNATURE_CHARS: usize = 86;
/// Enough of a token to know it for one.
const TOKEN_CHARS_MIN: usize = 20;

/// Things that were sent and must not be found again.
#[derive(Default)]
pub struct Leaks {
    /// What it is, and one of its forms.
    forms: Vec<(String, String)>,
}

impl Leaks {
    /// Looks out for `secret` too: as it is, as a JSON text, its parts between dots, and all of these in base64.
    pub fn add(&mut self, what: &str, secret: &str) {
        assert!(secret.len() >= PART_BYTES_MIN, "{what} is too short to be looked for");
        let parts = secret.split('.').filter(|part| part.len() >= PART_BYTES_MIN);
        for text in std::iter::once(secret).chain(parts) {
            let quoted = Value::from(text).to_string();
            let mut forms = vec![text.to_owned(), quoted.trim_matches('"').to_owned()];
            forms.extend(base64_forms(text.as_bytes()));
            self.forms.extend(forms.into_iter().map(|form| (what.to_owned(), form)));
        }
    }

    /// What of all that is in `line`, or what in it has the look of a token, a proof or a body.
    #[must_use]
    pub fn find(&self, line: &str) -> Option<String> {
        let known = self.forms.iter().find(|(_, form)| line.contains(form.as_str()));
        known.map(|(what, _)| what.clone()).or_else(|| look_of_a_secret(line).map(str::to_owned))
    }
}

/// The base64 of whatever contains `bytes` contains one of these: where the bytes begin shifts all characters.
fn base64_forms(bytes: &[u8]) -> Vec<String> {
    let mut forms = Vec::new();
    for shift in 0..3 {
        let whole = bytes.len().saturating_sub(shift) / 3 * 3;
        let shifted = bytes.get(shift..shift + whole).unwrap_or_default();
        if shifted.len() >= PART_BYTES_MIN - 3 {
            forms.extend([STANDARD_NO_PAD.encode(shifted), URL_SAFE_NO_PAD.encode(shifted)]);
        }
    }
    forms
}

/// By its form alone, for everything that was sent by somebody else.
fn look_of_a_secret(line: &str) -> Option<&'static str> {
    if line.contains("clw_agt_") {
        return Some("an access token");
    }
    // A field of a body or a frame, as JSON or as JSON within JSON; texts for people name fields without the colon.
    if ["AgentDid\":", "AgentDid\\\":", "payload\":", "payload\\\":", "originalFrameId"]
        .iter()
        .any(|key| line.contains(key))
    {
        return Some("a body");
    }
    let of_base64 = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_');
    line.split(|char| !of_base64(char)).find_map(|run| {
        // `{"` in base64 is how every header of a token begins.
        let is_token = run.find("eyJ").is_some_and(|at| run.len() - at >= TOKEN_CHARS_MIN);
        let is_signature = run.len() >= SIGNATURE_CHARS;
        if is_token { Some("a token") } else { is_signature.then_some("a proof") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"reason":"the secret of this body"}"#;

    fn leaks() -> Leaks {
        let mut leaks = Leaks::default();
        leaks.add("the body", BODY);
        leaks.add("the token", "Ab3dEf6hIj9l.MnOpQrStUvWx.YzAbCdEfGhIj");
        leaks
    }

    #[test]
    fn what_was_sent_is_found_in_every_form() {
        let quoted = Value::from(BODY).to_string();
        for line in [
            format!("refused: {BODY}"),
            format!(r#"{{"message":{quoted}}}"#),
            format!("x {}", STANDARD_NO_PAD.encode(BODY)),
            format!("x {}", URL_SAFE_NO_PAD.encode(format!("a{BODY}"))),
            format!("x {}", STANDARD_NO_PAD.encode(format!("ab{BODY}c"))),
        ] {
            assert_eq!(leaks().find(&line).as_deref(), Some("the body"), "{line}");
        }
        assert_eq!(leaks().find("only MnOpQrStUvWx of it").as_deref(), Some("the token"));
    }

    #[test]
    fn what_somebody_else_sent_is_known_by_its_look() {
        let signature = "x".repeat(SIGNATURE_CHARS);
        for (line, what) in [
            ("token clw_agt_x", "an access token"),
            ("Claw eyJhbGciOiJFZERTQSIsInR5cCI6", "a token"),
            (signature.as_str(), "a proof"),
            (r#"{"message":"{\"senderAgentDid\":7}"}"#, "a body"),
        ] {
            assert_eq!(Leaks::default().find(line).as_deref(), Some(what), "{line}");
        }
    }

    #[test]
    fn an_ordinary_line_is_none() {
        for line in [
            r#"{"agent.did":"did:cdi:a.com:agent:01KN0HGEG0G5PGG168DAWPBYT2","message":"let an agent in"}"#,
            r#"{"message":"refused a request: field senderAgentDid is missing or wrong"}"#,
            r#"{"correlation.id":"7f1c2a34-5b6d-4e8f-9a0b-1c2d3e4f5a6b","connection.id":"L0SM9cOFvHcCIhw="}"#,
        ] {
            assert_eq!(leaks().find(line), None, "{line}");
        }
    }
}
