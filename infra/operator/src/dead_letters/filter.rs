//! Which dead letters a command is about.

use backbone::did::AgentDid;
use clap::Args;

use super::letter::DeadLetterView;
use crate::trust::agent_did;
use crate::when::When;

/// Which dead letters. Several conditions must all hold.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Filter {
    /// Only of this queue: `receipts`, `events`, ….
    #[arg(long, value_name = "NAME")]
    pub(crate) queue: Option<String>,
    /// Only this one, by its message id, what it is about (such as a request id), or its correlation id; may be repeated.
    #[arg(long, value_name = "ID")]
    pub(crate) id: Vec<String>,
    /// Only those that name this agent.
    #[arg(long, value_name = "DID", value_parser = agent_did)]
    pub(crate) agent: Option<AgentDid>,
    /// Only those with this reason; `too_many_receives` if SQS has moved it itself.
    #[arg(long, value_name = "CODE")]
    pub(crate) reason: Option<String>,
    /// Only those from before this time: 2h means older than two hours.
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    pub(crate) older_than: Option<When>,
}

impl Filter {
    /// Whether it narrows anything down. The queue alone does not: a whole queue is `--all` of it.
    pub(crate) const fn is_narrow(&self) -> bool {
        !self.id.is_empty() || self.agent.is_some() || self.reason.is_some() || self.older_than.is_some()
    }

    pub(crate) fn takes(&self, letter: &DeadLetterView, now_ms: u64) -> bool {
        let is_named = self.id.is_empty() || self.id.iter().any(|id| letter.is_named(id));
        let names_agent =
            self.agent.as_ref().is_none_or(|agent| letter.agents.iter().any(|named| named == agent.as_str()));
        let has_reason = self.reason.as_ref().is_none_or(|reason| *reason == letter.reason_code);
        let is_old = self.older_than.is_none_or(|when| letter.since_ms <= when.before(now_ms));
        is_named && names_agent && has_reason && is_old
    }
}

#[cfg(test)]
mod tests {
    use super::super::letter::tests::{AGENT, letter, pair};
    use super::*;

    #[test]
    fn all_conditions_must_hold() {
        let body = format!(r#"{{"requestId":"01K","senderAgentDid":"{AGENT}"}}"#);
        let view = DeadLetterView::of(&pair(), &letter(&body, &[("reasonCode", "not_json")]));
        let nothing = Filter::default();
        assert!(nothing.takes(&view, 10_000) && !nothing.is_narrow());
        let reason = Filter { reason: Some("not_json".to_owned()), ..Filter::default() };
        let all = Filter {
            id: vec!["x".to_owned(), "01K".to_owned()],
            agent: AgentDid::parse(AGENT),
            older_than: Some(When::Ago(1_000)),
            ..reason
        };
        assert!(all.takes(&view, 10_000) && all.is_narrow());
        for other in [
            Filter { id: vec!["x".to_owned()], ..all.clone() },
            Filter { agent: AgentDid::parse(&AGENT.replace("YT2", "YT3")), ..all.clone() },
            Filter { reason: Some("unknown_type".to_owned()), ..all.clone() },
            Filter { older_than: Some(When::Ago(1_001)), ..all },
        ] {
            assert!(!other.takes(&view, 10_000), "{other:?}");
        }
    }
}
