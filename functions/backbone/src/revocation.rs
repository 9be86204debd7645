//! Revocation: the row first, then the end of the socket (design 5).
//!
//! From the row on nobody decides anything for the agent any more. `$connect` writes its row first and looks for a
//! revocation after; here the revocation is written first and the connection read after, both strongly consistent, so
//! that whichever comes second sees the other.

use futures_util::stream::{self, StreamExt};

use crate::connection::ConnectionRef;
use crate::did::AgentDid;
use crate::limits::{ACCESS_TAKE_BACK_MS, AUTHORIZER_MS_MAX, CLOCKS_APART_MS, YESES_AT_ONCE};
use crate::metrics::{Metric, Tally};
use crate::stores::{
    AccessStore, Clock, Closed, ConnectionStore, Gateway, RememberedYes, Revoking, StoreError, TrustChanges,
};

/// What became of an agent's socket.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a socket that is only opening has to be cut later"]
pub enum Cut {
    /// There was none to cut.
    Nothing,
    /// It is closed, or was gone already.
    Closed {
        /// When it was opened, in milliseconds since the Unix epoch.
        connected_at_ms: u64,
    },
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

/// What became of a session that is to end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a socket of it may still be opening"]
pub struct SessionEnd {
    /// What became of the agent's socket.
    pub cut: Cut,
    /// Sockets opened until then may be of the session, in milliseconds since the Unix epoch; those opened later are not.
    pub opened_until_ms: u64,
}

/// Ends a session that was over at `ended_at_ms`: its agent must authenticate with the registry again, and may. An
/// authorizer that began after `let_in_until_ms` has let in somebody of another session, unless it has read a yes from
/// before the end. Both are in milliseconds since the Unix epoch.
///
/// API Gateway may say that a socket was opened when its authorizer had decided, which is so much later.
///
/// What is taken back leaves behind until when it may have been read. So it does not matter how often this fails, at
/// which of its steps and for how long: whoever does it again finds all that may have been opened meanwhile.
///
/// # Errors
///
/// If a store or API Gateway does not answer; all of it is to be done again then.
pub async fn end_session<O>(
    outside: &O,
    agent: &AgentDid,
    ended_at_ms: u64,
    let_in_until_ms: u64,
    tally: &Tally,
) -> Result<SessionEnd, StoreError>
where
    O: AccessStore + ConnectionStore + Gateway + Clock,
{
    let let_in_until_ms = take_back_all(outside, agent, ended_at_ms).await?.max(let_in_until_ms);
    let opened_until_ms = let_in_until_ms.saturating_add(AUTHORIZER_MS_MAX);
    let cut = cut(outside, agent, opened_until_ms, tally).await?;
    Ok(SessionEnd { cut, opened_until_ms })
}

/// Takes back every yes that stands, and says until when those from before `ended_at_ms` may have been read.
async fn take_back_all<O: AccessStore + Clock>(
    outside: &O,
    agent: &AgentDid,
    ended_at_ms: u64,
) -> Result<u64, StoreError> {
    let yeses = outside.remembered_access(agent).await?;
    let steps: Vec<_> = stream::iter(yeses)
        .map(async |yes| {
            let now_ms = outside.now_ms();
            let mut until_ms = yes.until_ms;
            if stands(&yes, now_ms) {
                until_ms = now_ms.saturating_add(ACCESS_TAKE_BACK_MS);
                outside.take_back_access(agent, &yes.access_hash, yes.accepted_at_ms, until_ms).await?;
            }
            let is_old = yes.accepted_at_ms < ended_at_ms.saturating_add(CLOCKS_APART_MS);
            Ok(if is_old { until_ms } else { 0 })
        })
        .buffer_unordered(YESES_AT_ONCE)
        .collect()
        .await;
    steps.into_iter().try_fold(0, |latest_ms, step| Ok(step?.max(latest_ms)))
}

const fn stands(yes: &RememberedYes, now_ms: u64) -> bool {
    !yes.is_taken_back && now_ms < yes.until_ms.saturating_add(CLOCKS_APART_MS)
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
    Ok(Cut::Closed { connected_at_ms: live.connected_at_ms })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::FutureExt;

    use super::*;

    const NOW_MS: u64 = 1_000_000;
    const ENDED_MS: u64 = 900_000;

    /// One agent's yeses, and the hashes of those that were taken back.
    struct Yeses(Vec<RememberedYes>, Mutex<Vec<String>>);

    impl Clock for Yeses {
        fn now_ms(&self) -> u64 {
            NOW_MS
        }

        fn time_left_ms(&self) -> u64 {
            u64::MAX
        }
    }

    impl AccessStore for Yeses {
        async fn remember_access(&self, _: &AgentDid, _: &str, _: u64) -> Result<(), StoreError> {
            unreachable!("nobody is let in")
        }

        async fn take_back_access(
            &self,
            _: &AgentDid,
            hash: &str,
            _: u64,
            until_ms: u64,
        ) -> Result<(), StoreError> {
            assert_eq!(until_ms, NOW_MS + ACCESS_TAKE_BACK_MS);
            self.1.lock().unwrap().push(hash.to_owned());
            Ok(())
        }

        async fn remembered_access(&self, _: &AgentDid) -> Result<Vec<RememberedYes>, StoreError> {
            Ok(self.0.clone())
        }
    }

    /// Until when somebody of the old session may have read one yes to it, and whether that was taken back.
    fn by(accepted_at_ms: u64, until_ms: u64, is_taken_back: bool) -> (u64, bool) {
        let yes = RememberedYes { access_hash: "a".to_owned(), accepted_at_ms, until_ms, is_taken_back };
        let yeses = Yeses(vec![yes], Mutex::default());
        let agent = AgentDid::parse("did:cdi:a.com:agent:01KN0HGEG0G5PGG168DAWPBYT2").unwrap();
        let until_ms = take_back_all(&yeses, &agent, ENDED_MS).now_or_never().unwrap().unwrap();
        (until_ms, !yeses.1.into_inner().unwrap().is_empty())
    }

    #[test]
    fn an_old_yes_lets_in_until_it_is_over_or_taken_back() {
        let (old_ms, later_ms) = (ENDED_MS - 1, NOW_MS + 50_000);
        assert_eq!(by(old_ms, later_ms, false), (NOW_MS + ACCESS_TAKE_BACK_MS, true), "it stands");
        assert_eq!(by(0, u64::MAX, false), (NOW_MS + ACCESS_TAKE_BACK_MS, true), "it cannot be read");
        assert_eq!(
            by(old_ms, NOW_MS - CLOCKS_APART_MS, false),
            (NOW_MS - CLOCKS_APART_MS, false),
            "it is over"
        );
        for until_ms in [NOW_MS - 30_000, NOW_MS + 5_000] {
            assert_eq!(by(old_ms, until_ms, true), (until_ms, false), "it was taken back before");
        }
    }

    #[test]
    fn a_yes_of_the_next_session_is_asked_about_again_and_says_nothing_of_this_one() {
        let new_ms = ENDED_MS + CLOCKS_APART_MS;
        assert_eq!(by(new_ms, NOW_MS + 50_000, false), (0, true));
        assert_eq!(by(new_ms, NOW_MS + 5_000, true), (0, false));
        assert_eq!(by(new_ms - 1, NOW_MS + 5_000, true), (NOW_MS + 5_000, false), "clocks differ");
    }
}
