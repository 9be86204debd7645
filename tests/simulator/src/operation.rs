//! The operations that handlers wait for.

use backbone::limits::{ACCESS_TAKE_BACK_MS, OPERATION_MS_MAX};

/// Who carries an operation out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Tables,
    /// Queries of the nonces table, which only the end of a session makes.
    Queries,
    Queue,
    Gateway,
    Registry,
}

/// A verb of the library's traits: each is one await point of a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// The batched read.
    ReadForDelivery,
    /// A receipt's row.
    Record,
    /// A receipt's row, if it is what was read.
    Replace,
    /// Into the mailbox.
    KeepWaiting,
    /// Out of the mailbox.
    StopWaiting,
    /// The mailbox's oldest.
    Waiting,
    /// An agent's row.
    Connection,
    /// A newcomer's row.
    Claim,
    /// A socket that is gone.
    Clear,
    /// The quarantine's notes.
    Note,
    /// The revocation row.
    AgentRevoked,
    /// A system delivery's row.
    KeepDelivery,
    /// The row of one that was given up.
    RestoreDelivery,
    /// One row.
    FindDelivery,
    /// An agent's rows.
    Deliveries,
    /// What a turn leaves.
    NoteTurn,
    /// One that is given up.
    RemoveDelivery,
    /// One that is acknowledged.
    Acknowledge,
    /// Onto the queue.
    Send,
    /// A message's back-off.
    ShowAgain,
    /// Into the dead-letter queue.
    Bury,
    /// A frame.
    Push,
    /// The end of a socket.
    Close,
    /// A revocation's row.
    RevokeAgent,
    /// A revoked token's row.
    RevokeToken,
    /// Which of many rows of the trust table exist.
    RevokedRows,
    /// What is known of the registry.
    RegistryRows,
    /// What is new at the registry, written down.
    KeepRegistry,
    /// A page of the connections.
    LiveAgents,
    /// The registry's keys, or its revocation list.
    AskRegistry,
    /// What a request asks about trust: here, the yes to its access token.
    Trust,
    /// The registry's word on an access token.
    CheckAccess,
    /// A yes, kept.
    RememberAccess,
    /// A yes, taken back.
    TakeBackAccess,
    /// Every yes to an agent.
    RememberedAccess,
}

impl Operation {
    /// Every one.
    pub const ALL: [Self; 35] = [
        Self::ReadForDelivery,
        Self::Record,
        Self::Replace,
        Self::KeepWaiting,
        Self::StopWaiting,
        Self::Waiting,
        Self::Connection,
        Self::Claim,
        Self::Clear,
        Self::Note,
        Self::AgentRevoked,
        Self::KeepDelivery,
        Self::RestoreDelivery,
        Self::FindDelivery,
        Self::Deliveries,
        Self::NoteTurn,
        Self::RemoveDelivery,
        Self::Acknowledge,
        Self::Send,
        Self::ShowAgain,
        Self::Bury,
        Self::Push,
        Self::Close,
        Self::RevokeAgent,
        Self::RevokeToken,
        Self::RevokedRows,
        Self::RegistryRows,
        Self::KeepRegistry,
        Self::LiveAgents,
        Self::AskRegistry,
        Self::Trust,
        Self::CheckAccess,
        Self::RememberAccess,
        Self::TakeBackAccess,
        Self::RememberedAccess,
    ];

    pub(crate) const fn service(self) -> Service {
        match self {
            Self::ReadForDelivery
            | Self::Record
            | Self::Replace
            | Self::KeepWaiting
            | Self::StopWaiting
            | Self::Waiting
            | Self::Connection
            | Self::Claim
            | Self::Clear
            | Self::Note
            | Self::AgentRevoked
            | Self::KeepDelivery
            | Self::RestoreDelivery
            | Self::FindDelivery
            | Self::Deliveries
            | Self::NoteTurn
            | Self::RemoveDelivery
            | Self::Acknowledge
            | Self::RevokeAgent
            | Self::RevokeToken
            | Self::RevokedRows
            | Self::RegistryRows
            | Self::KeepRegistry
            | Self::LiveAgents
            | Self::Trust
            | Self::RememberAccess
            | Self::TakeBackAccess => Service::Tables,
            Self::RememberedAccess => Service::Queries,
            Self::Send | Self::ShowAgain | Self::Bury => Service::Queue,
            Self::Push | Self::Close => Service::Gateway,
            Self::AskRegistry | Self::CheckAccess => Service::Registry,
        }
    }

    /// How long after its caller has given up it may still have its effect, in milliseconds. That a yes is taken back no
    /// later than `ACCESS_TAKE_BACK_MS` after somebody has begun to is what the end of a session relies on.
    pub(crate) const fn late_ms_max(self) -> u64 {
        if matches!(self, Self::TakeBackAccess) { ACCESS_TAKE_BACK_MS - OPERATION_MS_MAX } else { 20_000 }
    }

    /// Whether code around it may panic in a run: what one record does, not what the whole batch shares.
    pub(crate) const fn may_panic(self) -> bool {
        match self {
            Self::Record
            | Self::Replace
            | Self::KeepWaiting
            | Self::StopWaiting
            | Self::Push
            | Self::Waiting
            | Self::FindDelivery
            | Self::Deliveries
            | Self::NoteTurn
            | Self::RemoveDelivery
            | Self::RestoreDelivery
            | Self::RevokeAgent
            | Self::RememberedAccess => true,
            Self::ReadForDelivery
            | Self::Connection
            | Self::Claim
            | Self::Clear
            | Self::Note
            | Self::AgentRevoked
            | Self::KeepDelivery
            | Self::Acknowledge
            | Self::Send
            | Self::ShowAgain
            | Self::Bury
            | Self::Close
            | Self::RevokeToken
            | Self::RevokedRows
            | Self::RegistryRows
            | Self::KeepRegistry
            | Self::LiveAgents
            | Self::AskRegistry
            | Self::Trust
            | Self::CheckAccess
            | Self::RememberAccess
            | Self::TakeBackAccess => false,
        }
    }
}
