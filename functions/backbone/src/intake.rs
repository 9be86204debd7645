//! Reading what a recipient's connector posts, and what a sender's asks (contract 1.1 and 1.3, design 7).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::did::AgentDid;
use crate::home::ProxyOrigin;
use crate::id::Id;
use crate::limits::REASON_CHARS_MAX;
use crate::receipt::{Receipt, Status};

/// A receipt as posted; who posted it, and when, is not part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostedReceipt {
    request_id: Id,
    sender: AgentDid,
    recipient: AgentDid,
    status: Status,
    reason: Option<String>,
    sender_home: Option<ProxyOrigin>,
}

/// Why a body is not a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntakeError {
    /// The body does not parse. The parser's own text can quote the body, so only the place is kept.
    #[error("body is not JSON (line {line}, column {column})")]
    Malformed {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// The body is JSON, but no object.
    #[error("body is not a JSON object")]
    NotAnObject,
    /// A field is missing, or could never be framed.
    #[error("field {0} is missing or wrong")]
    Field(&'static str),
}

impl IntakeError {
    /// Which field was wrong, if it was one.
    #[must_use]
    pub const fn field(&self) -> Option<&'static str> {
        match self {
            Self::Field(name) => Some(name),
            Self::Malformed { .. } | Self::NotAnObject => None,
        }
    }
}

impl PostedReceipt {
    /// Reads a body. Both vocabularies are understood; where both are present, today's wins. Unknown fields are
    /// ignored, as is `processedAt`: the time is ours to say.
    ///
    /// # Errors
    ///
    /// The first [`IntakeError`] in the order of the contract's table.
    pub fn parse(body: &[u8]) -> Result<Self, IntakeError> {
        let value: Value = serde_json::from_slice(body)
            .map_err(|error| IntakeError::Malformed { line: error.line(), column: error.column() })?;
        let Value::Object(fields) = value else { return Err(IntakeError::NotAnObject) };
        Ok(Self {
            request_id: field(&fields, ["requestId", "frameId"], Id::parse)?,
            sender: field(&fields, ["senderAgentDid", "fromAgentDid"], AgentDid::parse)?,
            recipient: field(&fields, ["recipientAgentDid", "toAgentDid"], AgentDid::parse)?,
            status: field(&fields, ["status", "status"], Status::parse)?,
            reason: reason(&fields),
            sender_home: sender_home(&fields)?,
        })
    }

    /// Who sent the message that this is about.
    #[must_use]
    pub const fn sender(&self) -> &AgentDid {
        &self.sender
    }

    /// Who got it.
    #[must_use]
    pub const fn recipient(&self) -> &AgentDid {
        &self.recipient
    }

    /// Where the sender is at home, as the recipient says.
    #[must_use]
    pub const fn sender_home(&self) -> Option<&ProxyOrigin> {
        self.sender_home.as_ref()
    }

    /// The receipt, accepted at `processed_at_ms`.
    #[must_use]
    pub fn accepted_at(self, processed_at_ms: u64) -> Receipt {
        Receipt {
            request_id: self.request_id,
            sender: self.sender,
            recipient: self.recipient,
            status: self.status,
            reason: self.reason,
            processed_at_ms,
        }
    }
}

/// The message that a body is about, whatever else is wrong with it: for a line about its refusal, which costs a tenth of
/// reading all of it.
#[must_use]
pub fn request_id_in(body: &[u8]) -> Option<Id> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow, default, rename = "requestId")]
        request_id: Option<Cow<'a, str>>,
        #[serde(borrow, default, rename = "frameId")]
        frame_id: Option<Cow<'a, str>>,
    }
    let named: Named<'_> = serde_json::from_slice(body).ok()?;
    Id::parse(named.request_id.or(named.frame_id)?.trim())
}

/// The field by today's name, or else by the first design's.
fn field<T>(
    fields: &Map<String, Value>,
    [today, first]: [&'static str; 2],
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, IntakeError> {
    let text = fields.get(today).or_else(|| fields.get(first)).and_then(Value::as_str);
    text.map(str::trim).and_then(parse).ok_or(IntakeError::Field(today))
}

/// The first design's `senderProxyUrl`. Null and blank count as none, like an absent one; what is there and no origin
/// would send the receipt astray.
fn sender_home(fields: &Map<String, Value>) -> Result<Option<ProxyOrigin>, IntakeError> {
    const FIELD: &str = "senderProxyUrl";
    match fields.get(FIELD) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
        Some(value) => {
            let home = value.as_str().and_then(ProxyOrigin::parse).ok_or(IntakeError::Field(FIELD))?;
            Ok(Some(home))
        }
    }
}

/// The reason, trimmed and cut. Anything but a non-blank string counts as none.
fn reason(fields: &Map<String, Value>) -> Option<String> {
    trimmed_reason(fields.get("reason")?.as_str()?)
}

/// A stranger's reason, trimmed and cut, with no character that a queue refuses in a body; `None` if nothing is left.
pub(crate) fn trimmed_reason(text: &str) -> Option<String> {
    let text = text.trim();
    // The two characters that XML, and so SQS, does not know.
    let known = |char| if matches!(char, '\u{fffe}' | '\u{ffff}') { '\u{fffd}' } else { char };
    let cut: String = text.chars().take(REASON_CHARS_MAX).map(known).collect();
    let cut = cut.trim_end();
    (!cut.is_empty()).then(|| cut.to_owned())
}

/// A look-up as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookUp {
    /// The message; text that is not a ULID names none.
    pub request_id: Option<Id>,
    /// Its recipient, for the trust check; text that is no DID is paired with nobody.
    pub recipient: Option<AgentDid>,
}

/// Reads the query of a look-up.
///
/// # Errors
///
/// The name of the first parameter that is missing or blank, `requestId` before `recipientAgentDid`.
pub fn parse_look_up(raw_query: &str) -> Result<LookUp, &'static str> {
    let parameter = |name: &'static str| {
        form_urlencoded::parse(raw_query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.trim().to_owned())
            .filter(|value| !value.is_empty())
            .ok_or(name)
    };
    let request_id = parameter("requestId")?;
    let recipient = parameter("recipientAgentDid")?;
    Ok(LookUp { request_id: Id::parse(&request_id), recipient: AgentDid::parse(&recipient) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ULID: &str = "01KN33X0KRM9Q3MFS6RVPP6F7F";
    const SENDER: &str = "did:cdi:registry.clawdentity.com:agent:01KN0HGEG0G5PGG168DAWPBYT2";
    const RECIPIENT: &str = "did:cdi:registry.clawdentity.com:agent:01KN0HGEG0QK6E4CV6JTD76TK7";

    fn body() -> Value {
        json!({"requestId": ULID, "senderAgentDid": SENDER, "recipientAgentDid": RECIPIENT,
               "status": "dead_lettered", "reason": null})
    }

    fn parse(body: &Value) -> Result<Receipt, IntakeError> {
        PostedReceipt::parse(body.to_string().as_bytes()).map(|posted| posted.accepted_at(5))
    }

    fn with(field: &str, value: Value) -> Value {
        let mut body = body();
        body[field] = value;
        body
    }

    #[test]
    fn a_body_names_its_message_whatever_else_is_wrong() {
        let named = |body: &Value| request_id_in(body.to_string().as_bytes());
        assert_eq!(named(&json!({"requestId": ULID, "status": 7})), Id::parse(ULID));
        assert_eq!(named(&json!({"frameId": format!(" {ULID}\n")})), Id::parse(ULID));
        for other in [json!({"requestId": "x"}), json!({"requestId": 7}), json!({})] {
            assert_eq!(named(&other), None, "{other}");
        }
        assert_eq!(request_id_in(b"{"), None);
    }

    #[test]
    fn both_vocabularies_mean_the_same() {
        let first = json!({"frameId": ULID.to_lowercase(), "fromAgentDid": SENDER, "toAgentDid": RECIPIENT,
                           "status": "processed_by_openclaw"});
        let mut today = body();
        today["status"] = json!("delivered_to_webhook");
        assert_eq!(parse(&first), parse(&today));
    }

    #[test]
    fn todays_names_win() {
        let mut both = body();
        both["frameId"] = json!("01KN33X1K04BYVPGPS9HJEZ29W");
        assert_eq!(parse(&both), parse(&body()));
    }

    #[test]
    fn only_a_non_blank_string_is_a_reason() {
        for value in [json!(null), json!(7), json!("  "), json!({"a": 1})] {
            assert_eq!(parse(&with("reason", value)).unwrap().reason, None);
        }
        assert_eq!(parse(&with("reason", json!(" x "))).unwrap().reason.as_deref(), Some("x"));
        let odd = parse(&with("reason", json!("a\u{fffe}\u{ffff}b"))).unwrap().reason;
        assert_eq!(odd.as_deref(), Some("a\u{fffd}\u{fffd}b"));
        let long = parse(&with("reason", json!("\u{e9}".repeat(5_000)))).unwrap().reason.unwrap();
        assert_eq!(long.chars().count(), 1_000);
    }

    #[test]
    fn what_could_never_be_framed_is_refused() {
        for (field, value) in [
            ("requestId", json!("not-a-ulid")),
            ("requestId", json!(7)),
            ("senderAgentDid", json!("did:web:x")),
            ("recipientAgentDid", json!(null)),
            ("status", json!("delivered")),
            ("senderProxyUrl", json!("proxy.a.com")),
            ("senderProxyUrl", json!("https://proxy.a.com/v1")),
            ("senderProxyUrl", json!(7)),
        ] {
            assert_eq!(parse(&with(field, value)), Err(IntakeError::Field(field)));
        }
        assert_eq!(PostedReceipt::parse(b"[]"), Err(IntakeError::NotAnObject));
        assert_eq!(PostedReceipt::parse(b"\xff"), Err(IntakeError::Malformed { line: 1, column: 1 }));
    }

    #[test]
    fn a_recipient_may_say_where_the_sender_is_at_home() {
        let home = |body: &Value| {
            let posted = PostedReceipt::parse(body.to_string().as_bytes()).unwrap();
            posted.sender_home().map(ToString::to_string)
        };
        assert_eq!(
            home(&with("senderProxyUrl", json!("https://Proxy.A.com/"))).unwrap(),
            "https://proxy.a.com"
        );
        for none in [body(), with("senderProxyUrl", json!(null)), with("senderProxyUrl", json!(" "))] {
            assert_eq!(home(&none), None);
        }
    }

    #[test]
    fn a_look_up_names_what_is_missing() {
        let query = format!("requestId={ULID}&recipientAgentDid={}", RECIPIENT.replace(':', "%3A"));
        let look_up = parse_look_up(&query).unwrap();
        assert_eq!(look_up.request_id.unwrap().to_string(), ULID);
        assert_eq!(look_up.recipient.unwrap().as_str(), RECIPIENT);
        assert_eq!(parse_look_up(""), Err("requestId"));
        assert_eq!(parse_look_up("requestId=%20&recipientAgentDid=x"), Err("requestId"));
        assert_eq!(parse_look_up("requestId=x"), Err("recipientAgentDid"));
        assert_eq!(
            parse_look_up("requestId=x&recipientAgentDid=y"),
            Ok(LookUp { request_id: None, recipient: None })
        );
    }
}
