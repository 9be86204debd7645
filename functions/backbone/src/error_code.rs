//! Every code a peer can see, its HTTP status, and whether repeating the same request can help.

use strum::VariantArray;

/// A refusal as it goes over the wire (contract 1.4 and 5.9).
///
/// The contract's `PROXY_PAIR_STATE_UNAVAILABLE` does not occur: pairs are read together with the revocations, so
/// a store that fails is met one step earlier, as [`ErrorCode::AuthDependencyUnavailable`]. Nor does its
/// `INTERNAL_SERVER_ERROR`: a function that fails is answered for by API Gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, VariantArray)]
pub enum ErrorCode {
    /// The request did not come through the front door.
    DirectForbidden,
    /// No `Authorization` header.
    AuthMissingToken,
    /// `Authorization` is not `Claw <token>`.
    AuthInvalidScheme,
    /// Registry or store could not be asked.
    AuthDependencyUnavailable,
    /// The agent identity token does not hold.
    AuthInvalidAit,
    /// The timestamp is missing or not digits.
    AuthInvalidTimestamp,
    /// The timestamp is too far from our clock.
    AuthTimestampSkew,
    /// The nonce is missing.
    AuthInvalidNonce,
    /// The body hash or the signature is missing or does not hold.
    AuthInvalidProof,
    /// The nonce was used before.
    AuthReplay,
    /// The agent or its token is revoked.
    AuthRevoked,
    /// The agent has no pair, or not this one.
    AuthForbidden,
    /// No access token.
    AgentAccessRequired,
    /// The registry does not accept the access token.
    AgentAccessInvalid,
    /// Too many requests of this agent.
    RateLimitExceeded,
    /// The body is larger than accepted.
    ReceiptTooLarge,
    /// The body is not a receipt.
    ReceiptInvalidInput,
    /// The caller is not the recipient whom the receipt names.
    ReceiptForbidden,
    /// The queue did not take the receipt.
    ReceiptQueueFailed,
    /// A look-up lacks a parameter.
    ReceiptInvalidQuery,
    /// A look-up could not be answered.
    ReceiptReadFailed,
    /// Events were posted by somebody else than the internal service.
    EventsUnauthorized,
    /// The posted events are larger than accepted.
    EventsTooLarge,
    /// What was posted are not events, or one of them is none.
    EventsInvalidInput,
    /// The queue did not take all events.
    EventsQueueFailed,
    /// No such route.
    NotFound,
}

impl ErrorCode {
    /// All codes.
    pub const ALL: &[Self] = <Self as VariantArray>::VARIANTS;

    /// The code as text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.parts().0
    }

    /// The HTTP status that goes with it.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        self.parts().1
    }

    /// What the caller is told. Clients look at the status only, so the wording is for people.
    #[must_use]
    pub const fn message(self) -> &'static str {
        self.parts().2
    }

    const fn parts(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::DirectForbidden => {
                ("PROXY_DIRECT_FORBIDDEN", 403, "Requests are taken at the proxy's own address only")
            }
            Self::AuthMissingToken => {
                ("PROXY_AUTH_MISSING_TOKEN", 401, "The Authorization header is missing")
            }
            Self::AuthInvalidScheme => {
                ("PROXY_AUTH_INVALID_SCHEME", 401, "The Authorization header must be `Claw <token>`")
            }
            Self::AuthDependencyUnavailable => (
                "PROXY_AUTH_DEPENDENCY_UNAVAILABLE",
                503,
                "Authentication cannot be completed right now; repeat the request later",
            ),
            Self::AuthInvalidAit => ("PROXY_AUTH_INVALID_AIT", 401, "The agent identity token is not valid"),
            Self::AuthInvalidTimestamp => {
                ("PROXY_AUTH_INVALID_TIMESTAMP", 401, "X-Claw-Timestamp must be Unix seconds in digits")
            }
            Self::AuthTimestampSkew => {
                ("PROXY_AUTH_TIMESTAMP_SKEW", 401, "X-Claw-Timestamp is too far from the present")
            }
            Self::AuthInvalidNonce => {
                ("PROXY_AUTH_INVALID_NONCE", 401, "X-Claw-Nonce is missing or not usable")
            }
            Self::AuthInvalidProof => {
                ("PROXY_AUTH_INVALID_PROOF", 401, "The proof does not hold for this request")
            }
            Self::AuthReplay => ("PROXY_AUTH_REPLAY", 401, "This nonce has been used already"),
            Self::AuthRevoked => ("PROXY_AUTH_REVOKED", 401, "The agent's identity has been revoked"),
            Self::AuthForbidden => ("PROXY_AUTH_FORBIDDEN", 403, "The agents are not paired on this proxy"),
            Self::AgentAccessRequired => {
                ("PROXY_AGENT_ACCESS_REQUIRED", 401, "The X-Claw-Agent-Access header is missing")
            }
            Self::AgentAccessInvalid => {
                ("PROXY_AGENT_ACCESS_INVALID", 401, "The registry does not accept the agent access token")
            }
            Self::RateLimitExceeded => {
                ("PROXY_RATE_LIMIT_EXCEEDED", 429, "Too many requests of this agent; repeat later")
            }
            Self::ReceiptTooLarge => ("PROXY_RELAY_RECEIPT_TOO_LARGE", 413, "The body is larger than 16 KiB"),
            Self::ReceiptInvalidInput => {
                ("PROXY_RELAY_RECEIPT_INVALID_INPUT", 400, "The body is not a delivery receipt")
            }
            Self::ReceiptForbidden => {
                ("PROXY_RELAY_RECEIPT_FORBIDDEN", 403, "recipientAgentDid is not the authenticated agent")
            }
            Self::ReceiptQueueFailed => {
                ("PROXY_RELAY_RECEIPT_QUEUE_FAILED", 502, "The receipt was not queued; repeat the request")
            }
            Self::ReceiptInvalidQuery => {
                ("PROXY_RELAY_RECEIPT_INVALID_QUERY", 400, "A query parameter is missing")
            }
            Self::ReceiptReadFailed => {
                ("PROXY_RELAY_RECEIPT_READ_FAILED", 502, "The receipt could not be read; repeat the request")
            }
            Self::EventsUnauthorized => {
                ("PROXY_EVENTS_UNAUTHORIZED", 401, "The credentials are not the internal service's")
            }
            Self::EventsTooLarge => ("PROXY_EVENTS_TOO_LARGE", 413, "The body is larger than 256 KiB"),
            Self::EventsInvalidInput => {
                ("PROXY_EVENTS_INVALID_INPUT", 400, "The body is not one to ten events of the registry")
            }
            Self::EventsQueueFailed => {
                ("PROXY_EVENTS_QUEUE_FAILED", 502, "Not all events were queued; repeat the request")
            }
            Self::NotFound => ("PROXY_NOT_FOUND", 404, "There is nothing at this path"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_statuses_are_errors() {
        let mut names: Vec<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ErrorCode::ALL.len());
        assert!(ErrorCode::ALL.iter().all(|code| (400..600).contains(&code.http_status())));
    }
}
