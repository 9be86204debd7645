//! The deployment's queues that have a dead-letter queue.

use crate::deployment::Deployment;
use crate::failure::Failure;

/// A queue and where its messages go that cannot be handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueuePair {
    /// What operators call it: `receipts`, `events`, ….
    pub(crate) name: String,
    /// The queue's URL.
    pub(crate) source_url: String,
    /// The dead-letter queue's URL.
    pub(crate) dlq_url: String,
}

/// All of them, as the stack's outputs name them: `<Name>QueueUrl` with `<Name>DlqUrl`.
pub(crate) fn queue_pairs(deployment: &Deployment) -> Vec<QueuePair> {
    let pair = |(key, source_url): (&String, &String)| {
        let stem = key.strip_suffix("QueueUrl")?;
        let dlq_url = deployment.outputs.get(&format!("{stem}DlqUrl"))?.clone();
        Some(QueuePair { name: kebab(stem), source_url: source_url.clone(), dlq_url })
    };
    deployment.outputs.iter().filter_map(pair).collect()
}

/// Those with the name `only`, if there is one.
pub(crate) fn chosen(deployment: &Deployment, only: Option<&str>) -> Result<Vec<QueuePair>, Failure> {
    let mut pairs = queue_pairs(deployment);
    if let Some(only) = only {
        let names: Vec<_> = pairs.iter().map(|pair| pair.name.clone()).collect();
        pairs.retain(|pair| pair.name == only);
        if pairs.is_empty() {
            return Err(Failure::Unconfirmed(format!(
                "there is no queue {only:?}; there are {}",
                names.join(", ")
            )));
        }
    }
    Ok(pairs)
}

/// `PeerReceipts` as `peer-receipts`.
fn kebab(stem: &str) -> String {
    let mut name = String::new();
    for (index, char) in stem.char_indices() {
        if char.is_uppercase() && index > 0 {
            name.push('-');
        }
        name.extend(char.to_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_operators_write_them() {
        assert_eq!(kebab("Receipts"), "receipts");
        assert_eq!(kebab("PeerReceipts"), "peer-receipts");
    }
}
