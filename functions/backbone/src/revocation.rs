//! Revocation: the row first, then the end of the socket (design 5).
//!
//! From the row on nobody decides anything for the agent any more. `$connect` writes its row first and looks for a
//! revocation after; here the revocation is written first and the connection read after, both strongly consistent, so
//! that whichever comes second sees the other.

use crate::connection::ConnectionRef;
use crate::did::AgentDid;
use crate::metrics::{Metric, Tally};
use crate::stores::{Clock, Closed, ConnectionStore, Gateway, Revoking, StoreError, TrustChanges};

/// What became of an agent's socket.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a socket that is only opening has to be cut later"]
pub enum Cut {
    /// There was none to cut.
    Nothing,
    /// It is closed, or was gone already.
    Closed,
    /// API Gateway does not know it yet: cut again in a moment.
    NotOpenYet(ConnectionRef),
}

/// Revokes an agent and cuts its socket. Doing it again changes nothing but a socket that is there.
///
/// # Errors
///
/// If a store or API Gateway does not answer; all of it is to be done again then.
pub async fn revoke<O>(outside: &O, agent: &AgentDid, reason: &str, tally: &Tally) -> Result<Cut, StoreError>
where
    O: TrustChanges + ConnectionStore + Gateway + Clock,
{
    if outside.revoke_agent(agent, Some(reason)).await? == Revoking::New {
        tally.count(Metric::Revoked);
    }
    cut(outside, agent, u64::MAX, tally).await
}

/// Ends a session that was over at `ended_at_ms`: its agent must authenticate with the registry again, and may. Sockets
/// that were opened later than `opened_until_ms` are of another session, unless a yes from before the end was still
/// there: then any may have been opened on that. Both are in milliseconds since the Unix epoch.
///
/// # Errors
///
/// If a store or API Gateway does not answer; all of it is to be done again then.
pub async fn end_session<O>(
    outside: &O,
    agent: &AgentDid,
    ended_at_ms: u64,
    opened_until_ms: u64,
    tally: &Tally,
) -> Result<Cut, StoreError>
where
    O: TrustChanges + ConnectionStore + Gateway + Clock,
{
    let oldest_yes_ms = outside.forget_sessions(agent).await?;
    let until_ms = suspect_until_ms(oldest_yes_ms, ended_at_ms, opened_until_ms, outside.now_ms());
    cut(outside, agent, until_ms, tally).await
}

/// Until when sockets may have been opened in a session that has ended.
fn suspect_until_ms(oldest_yes_ms: Option<u64>, ended_at_ms: u64, opened_until_ms: u64, now_ms: u64) -> u64 {
    let had_old_yes = oldest_yes_ms.is_some_and(|yes_ms| yes_ms < ended_at_ms);
    if had_old_yes { opened_until_ms.max(now_ms) } else { opened_until_ms }
}

/// Closes an agent's socket if it was opened by `opened_until_ms`, whatever its lease, and forgets it.
///
/// # Errors
///
/// If a store or API Gateway does not answer.
pub async fn cut<O>(
    outside: &O,
    agent: &AgentDid,
    opened_until_ms: u64,
    tally: &Tally,
) -> Result<Cut, StoreError>
where
    O: ConnectionStore + Gateway + Clock,
{
    let row = outside.connection(agent).await?;
    let Some(live) = row.live.filter(|live| live.connected_at_ms <= opened_until_ms) else {
        return Ok(Cut::Nothing);
    };
    let connection = live.of(agent);
    // Judged before the call: a socket that opens meanwhile is still a young one.
    let may_be_opening = connection.may_be_opening(outside.now_ms());
    match outside.close(&live.connection_id).await? {
        Closed::Gone if may_be_opening => {
            tally.count(Metric::CutRetried);
            return Ok(Cut::NotOpenYet(connection));
        }
        Closed::Gone => {}
        Closed::Closed => tally.count(Metric::SocketCut),
    }
    outside.clear_connection(agent, &live.connection_id).await?;
    Ok(Cut::Closed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_long_as_an_old_yes_stands_any_socket_may_be_of_the_old_session() {
        let (ended_ms, until_ms, now_ms) = (1_000, 11_000, 41_000);
        for (oldest_yes_ms, expected_ms) in
            [(None, until_ms), (Some(ended_ms), until_ms), (Some(ended_ms - 1), now_ms), (Some(0), now_ms)]
        {
            assert_eq!(suspect_until_ms(oldest_yes_ms, ended_ms, until_ms, now_ms), expected_ms);
        }
        assert_eq!(suspect_until_ms(Some(0), ended_ms, until_ms, 2_000), until_ms);
    }
}
