//! `operator trust`: pairs and revocations.

use std::collections::BTreeMap;
use std::fmt;

use backbone::did::AgentDid;
use backbone::home::ProxyOrigin;
use backbone::stores::{Clock as _, ConnectionStore as _, Revoking, TrustChanges as _};
use backbone::timestamp::to_iso;
use backbone::trust::PairSide;
use backbone_aws::settings::TRUST_TABLE;
use backbone_aws::{AgentTrust, Aws, PairChange};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::answer::{Answer, Exit};
use crate::deployment::{Access, Deployment, Where, call};
use crate::failure::Failure;

/// Whose table, and what to do with it.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The trust table, where neither --stack nor --local names a deployment; the stack's output `TrustTable`.
    #[arg(long, global = true, env = TRUST_TABLE, value_parser = table_name)]
    trust_table: Option<String>,
    #[command(subcommand)]
    action: Action,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Action {
    /// Allow two agents to send each other receipts. If they may already, this only notes where they are at home.
    Pair {
        /// One agent's DID.
        #[arg(value_parser = agent_did)]
        one: AgentDid,
        /// The other's.
        #[arg(value_parser = agent_did)]
        other: AgentDid,
        /// The origin of the proxy at which the one agent is at home. Without it the agent is taken to be at home here.
        #[arg(long, value_name = "ORIGIN", value_parser = proxy_origin)]
        one_home: Option<ProxyOrigin>,
        /// The same for the other.
        #[arg(long, value_name = "ORIGIN", value_parser = proxy_origin)]
        other_home: Option<ProxyOrigin>,
    },
    /// No longer allow it.
    Unpair {
        /// One agent's DID.
        #[arg(value_parser = agent_did)]
        one: AgentDid,
        /// The other's.
        #[arg(value_parser = agent_did)]
        other: AgentDid,
    },
    /// Refuse an agent from its next request on. A socket that is open is cut by the next reconciliation, within five
    /// minutes, or at once by `connections cut`.
    Revoke {
        /// The agent's DID.
        #[arg(value_parser = agent_did)]
        agent: AgentDid,
        /// Why, for whoever looks later.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Take a revocation back.
    Allow {
        /// The agent's DID.
        #[arg(value_parser = agent_did)]
        agent: AgentDid,
    },
    /// Show what is known of an agent.
    Show {
        /// The agent's DID.
        #[arg(value_parser = agent_did)]
        agent: AgentDid,
    },
}

/// Does what `arguments` say. A table that is named here needs no deployment around it.
pub(crate) async fn run(arguments: Arguments, place: &Where) -> Result<Answer, Failure> {
    let aws = match (&place.stack, &place.local, arguments.trust_table) {
        (None, None, Some(table)) => {
            let outputs = BTreeMap::from([("TrustTable".to_owned(), table)]);
            Access::ordinary(place).await?.stores(&outputs)?
        }
        (Some(_), ..) | (_, Some(_), _) | (None, None, None) => Deployment::find(place).await?.into_stores(),
    };
    act(arguments.action, &aws).await
}

async fn act(action: Action, aws: &Aws) -> Result<Answer, Failure> {
    let invocation = call(aws);
    Ok(match action {
        Action::Pair { one, other, .. } | Action::Unpair { one, other } if one == other => {
            return Err(Failure::Unconfirmed(
                "which two agents? These are one, and an agent needs no pair with itself".to_owned(),
            ));
        }
        Action::Pair { one, other, one_home, other_home } => {
            let sides =
                [PairSide { agent: one, home: one_home }, PairSide { agent: other, home: other_home }];
            let [one, other] = &sides;
            let change = invocation.put_pair(one, other).await?;
            let (one, other) = (&one.agent, &other.agent);
            match change {
                PairChange::Changed => said(true, format!("paired {one} and {other}")),
                PairChange::Unchanged => said(false, format!("{one} and {other} were paired so already")),
            }
        }
        Action::Unpair { one, other } => match invocation.remove_pair(&one, &other).await? {
            PairChange::Changed => said(true, format!("unpaired {one} and {other}")),
            PairChange::Unchanged => said(false, format!("{one} and {other} were not paired")),
        },
        Action::Revoke { agent, reason } => {
            let (changed, done) = match invocation.revoke_agent(&agent, reason.as_deref()).await? {
                Revoking::New => (true, format!("revoked {agent}")),
                Revoking::Known => (false, format!("{agent} was revoked already")),
            };
            // Where only the trust table is known, or may be read, this is not.
            let connection = invocation.connection(&agent).await.ok();
            let is_connected = connection.map(|row| row.current(invocation.now_ms()).is_some());
            let mut answer = said(changed, format!("{done}{}", rest_of_revocation(&agent, is_connected)));
            answer.json["connected"] = json!(is_connected);
            answer
        }
        Action::Allow { agent } => {
            if invocation.allow_agent(&agent).await? {
                let rest = "tokens that the registry has revoked stay so: have it issue new ones";
                said(true, format!("{agent} is no longer revoked here; {rest}"))
            } else {
                said(false, format!("{agent} was not revoked here"))
            }
        }
        Action::Show { agent } => {
            let trust = invocation.agent_trust(&agent).await?;
            let json = shown(&agent, &trust);
            Answer { text: Shown(&agent, &trust).to_string(), json, exit: Exit::Done }
        }
    })
}

/// What a revocation leaves to be done.
fn rest_of_revocation(agent: &AgentDid, is_connected: Option<bool>) -> String {
    let cut = format!("`operator connections cut {agent}`");
    match is_connected {
        Some(false) => String::new(),
        Some(true) => format!(
            "\nit is still connected: {cut} ends that now, and otherwise the next reconciliation, within five minutes"
        ),
        None => format!("\nwhether it is still connected could not be looked at: {cut} ends that"),
    }
}

/// What is said of a change.
fn said(changed: bool, text: String) -> Answer {
    Answer { json: json!({ "changed": changed, "said": text }), text, exit: Exit::Done }
}

fn shown(agent: &AgentDid, trust: &AgentTrust) -> Value {
    let revocation = trust.revocation.as_ref().map(|revocation| {
        json!({ "reason": revocation.reason, "revokedAt": revocation.revoked_at_ms.map(to_iso) })
    });
    json!({ "agentDid": agent, "revocation": revocation, "pairs": trust.pairs })
}

/// Reads an argument that is an agent.
pub(crate) fn agent_did(text: &str) -> Result<AgentDid, &'static str> {
    AgentDid::parse(text).ok_or("not an agent DID, such as did:cdi:registry.clawdentity.com:agent:<ULID>")
}

/// Reads a table's name or ARN: DynamoDB answers others at length.
fn table_name(text: &str) -> Result<String, &'static str> {
    let name =
        text.rsplit_once(":table/").filter(|_| text.starts_with("arn:")).map_or(text, |(_, name)| name);
    let is_usable = |char: char| char.is_ascii_alphanumeric() || "_.-".contains(char);
    let is_name = (3..=255).contains(&name.len()) && name.chars().all(is_usable);
    is_name.then(|| text.to_owned()).ok_or("not a table's name; it is the stack's output TrustTable")
}

fn proxy_origin(text: &str) -> Result<ProxyOrigin, &'static str> {
    ProxyOrigin::parse(text).ok_or("not an origin, such as https://proxy.example.com")
}

/// An agent, for people.
struct Shown<'a>(&'a AgentDid, &'a AgentTrust);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(agent, trust) = self;
        writeln!(formatter, "{agent}")?;
        match &trust.revocation {
            Some(revocation) => {
                let since = revocation.revoked_at_ms.map_or_else(|| "an unknown time".to_owned(), to_iso);
                let reason = revocation.reason.as_deref().unwrap_or("no reason given");
                writeln!(formatter, "revoked  since {since}: {reason}")?;
            }
            None => writeln!(formatter, "revoked  no")?,
        }
        write!(formatter, "pairs    {}", trust.pairs)
    }
}

#[cfg(test)]
mod tests {
    use backbone_aws::Revocation;

    use super::*;

    const AGENT: &str = "did:cdi:a.com:agent:01KN0HGEG0G5PGG168DAWPBYT2";

    #[test]
    fn an_agent_is_shown_on_three_lines() {
        let agent = AgentDid::parse(AGENT).unwrap();
        let trust = AgentTrust { revocation: None, pairs: 2 };
        assert_eq!(Shown(&agent, &trust).to_string(), format!("{AGENT}\nrevoked  no\npairs    2"));
        let revocation =
            Revocation { reason: Some("key lost".to_owned()), revoked_at_ms: Some(1_775_000_000_000) };
        let trust = AgentTrust { revocation: Some(revocation), pairs: 0 };
        let expected = format!("{AGENT}\nrevoked  since 2026-03-31T23:33:20.000Z: key lost\npairs    0");
        assert_eq!(Shown(&agent, &trust).to_string(), expected);
    }

    #[test]
    fn only_an_agents_did_is_taken() {
        assert!(agent_did(AGENT).is_ok());
        assert!(agent_did("did:cdi:a.com:human:01KN0HGEG0G5PGG168DAWPBYT2").is_err());
    }

    #[test]
    fn a_table_has_a_name_that_dynamodb_takes() {
        let arn = "arn:aws:dynamodb:us-east-1:1:table/trust";
        assert!(table_name("stack-TrustTable-1X").is_ok() && table_name(arn).is_ok());
        assert!(table_name("x").is_err() && table_name("a table").is_err() && table_name("").is_err());
    }

    #[test]
    fn a_revocation_says_whether_a_socket_is_left() {
        let agent = AgentDid::parse(AGENT).unwrap();
        assert_eq!(rest_of_revocation(&agent, Some(false)), "");
        for left in [Some(true), None] {
            assert!(rest_of_revocation(&agent, left).contains(&format!("connections cut {AGENT}")));
        }
    }

    #[test]
    fn a_home_is_an_origin() {
        assert!(proxy_origin("https://proxy.example.com").is_ok());
        assert!(proxy_origin("proxy.example.com").is_err());
    }
}
