//! Which texts the two existing connectors accept as a frame (contract, section 4).
//!
//! The TypeScript rules are strict, the Rust ones forgiving in some places and stricter in others. A server whose
//! frames pass both is understood by everybody.

mod formats;
mod shapes;

use serde_json::{Map, Value};

use self::formats::Format;
use self::shapes::{Field, Shape};
use super::Status;

/// What a parser says of a text.
pub type Verdict = Result<Frame, Violation>;

/// The rule a text breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(String);

/// A text that is a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// `type`.
    pub kind: String,
    /// `id`, a ULID.
    pub id: String,
    /// `ts`, as it came.
    pub ts: String,
    /// Every field, the ones above included.
    pub fields: Map<String, Value>,
}

/// A frame of type `receipt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptFrame {
    /// The frame's own id.
    pub id: String,
    /// When the receipt was taken, ISO 8601.
    pub ts: String,
    /// The message it is about.
    pub original_frame_id: String,
    /// Who received that message.
    pub to_agent_did: String,
    /// What became of it.
    pub status: Status,
    /// Why.
    pub reason: Option<String>,
}

/// The two rule sets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    TypeScript,
    Rust,
}

/// Judges a text by the rules of upstream's server and the TypeScript connector.
///
/// # Errors
///
/// The first rule the text breaks.
pub fn typescript(text: &str) -> Verdict {
    judge(text, Dialect::TypeScript)
}

/// Judges a text by the rules of the Rust connector.
///
/// # Errors
///
/// The first rule the text breaks.
pub fn rust(text: &str) -> Verdict {
    judge(text, Dialect::Rust)
}

impl Frame {
    /// A field that is text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name)?.as_str()
    }

    /// The frame as a receipt, if it is one.
    #[must_use]
    pub fn as_receipt(&self) -> Option<ReceiptFrame> {
        (self.kind == "receipt").then_some(())?;
        Some(ReceiptFrame {
            id: self.id.clone(),
            ts: self.ts.clone(),
            original_frame_id: self.text("originalFrameId")?.to_owned(),
            to_agent_did: self.text("toAgentDid")?.to_owned(),
            status: serde_json::from_value(self.fields.get("status")?.clone()).ok()?,
            reason: self.text("reason").map(str::to_owned),
        })
    }
}

fn judge(text: &str, dialect: Dialect) -> Verdict {
    let Ok(Value::Object(fields)) = serde_json::from_str(text) else {
        return Err(Violation("not a JSON object".to_owned()));
    };
    if !is_version_1(fields.get("v"), dialect) {
        return Err(Violation("v is not 1".to_owned()));
    }
    let kind = text_of(&fields, "type");
    let shape =
        Shape::of(&kind).ok_or_else(|| Violation(format!("unknown type {:?}", fields.get("type"))))?;
    for field in shapes::OF_EVERY_FRAME.iter().chain(shape.required) {
        check_required(&fields, field, dialect)?;
    }
    for field in shape.optional {
        check_optional(&fields, field, dialect)?;
    }
    if dialect == Dialect::TypeScript {
        refuse_unknown(&fields, &shape)?;
    }
    Ok(Frame { id: text_of(&fields, "id"), ts: text_of(&fields, "ts"), kind, fields })
}

/// To JavaScript `1.0` is 1 as well.
fn is_version_1(value: Option<&Value>, dialect: Dialect) -> bool {
    match dialect {
        Dialect::TypeScript => {
            value.and_then(Value::as_f64).is_some_and(|version| version.to_bits() == 1_f64.to_bits())
        }
        Dialect::Rust => value.and_then(Value::as_u64) == Some(1),
    }
}

fn check_required(fields: &Map<String, Value>, field: &Field, dialect: Dialect) -> Result<(), Violation> {
    match fields.get(field.name) {
        Some(value) => check_value(value, field, dialect),
        None if dialect == Dialect::TypeScript && field.format == Format::Anything => Ok(()),
        None => Err(Violation(format!("{} is missing", field.name))),
    }
}

fn check_optional(fields: &Map<String, Value>, field: &Field, dialect: Dialect) -> Result<(), Violation> {
    match fields.get(field.name) {
        None => Ok(()),
        Some(Value::Null) if dialect == Dialect::Rust => Ok(()),
        Some(value) => check_value(value, field, dialect),
    }
}

fn check_value(value: &Value, field: &Field, dialect: Dialect) -> Result<(), Violation> {
    let accepted = match dialect {
        Dialect::TypeScript => field.format.typescript_accepts(value),
        Dialect::Rust => field.format.rust_accepts(value),
    };
    if accepted { Ok(()) } else { Err(Violation(format!("{} is {value}", field.name))) }
}

fn refuse_unknown(fields: &Map<String, Value>, shape: &Shape) -> Result<(), Violation> {
    let is_known = |name: &str| {
        matches!(name, "v" | "type")
            || shapes::OF_EVERY_FRAME
                .iter()
                .chain(shape.required)
                .chain(shape.optional)
                .any(|field| field.name == name)
    };
    match fields.keys().find(|name| !is_known(name)) {
        None => Ok(()),
        Some(name) => Err(Violation(format!("unknown field {name}"))),
    }
}

fn text_of(fields: &Map<String, Value>, name: &str) -> String {
    fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
