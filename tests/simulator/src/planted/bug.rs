//! The bugs by their names.

/// A bug that a handler could have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Bug {
    /// A message that is to be shown again is deleted.
    RetryIsForgotten,
    /// A push that failed counts as done.
    FailedPushCountsAsTaken,
    /// A 410 counts as done.
    GoneCountsAsTaken,
    /// Whatever connection the row names is forgotten.
    ClearIsUnconditional,
    /// An older state replaces a newer one.
    RecordIsUnconditional,
    /// Of two recipients that speak of one message the second replaces the first.
    RecipientsAreNotCompared,
    /// A state that is said again replaces whatever its row says by then.
    RepetitionIsUnconditional,
    /// A receipt that was pushed is not recorded as such.
    PushIsNotRecorded,
    /// What has overtaken another state is not told again after it.
    LastWordIsNotRepeated,
    /// Nothing is put into the mailbox.
    MailboxIsNotWritten,
    /// What a drain reads is taken out of the mailbox before it is pushed.
    DrainTakesOutFirst,
    /// After the mailbox was written nobody looks for a new connection.
    SecondLookIsBlind,
    /// The last item of a page is left out.
    DrainMissesTheLast,
    /// A waiting receipt counts as pushed.
    WaitingCountsAsPushed,
    /// The newest socket is closed instead of the displaced one.
    CloseHitsTheNewest,
    /// A frame goes to somebody else's socket.
    PushGoesAstray,
    /// A frame's id is new with every push.
    FrameIdIsRandom,
    /// No `connected` message.
    ConnectIsNotAnnounced,
    /// No `drain` message.
    DrainIsNotAnnounced,
    /// A dead letter is not kept.
    BurialIsSkipped,
    /// One failed record fails its whole batch.
    NeighboursFailToo,
    /// Every lease counts as over.
    LeaseIsAlwaysOver,
    /// 202 whatever the queue says.
    AcceptedBeforeQueued,
    /// The consumer does not look whether the sender is revoked.
    RevocationIsIgnored,
    /// `$connect` does not look either.
    ConnectIgnoresRevocation,
    /// What is stored is not looked at.
    StoredStateIsIgnored,
    /// A push waits for an answer for ever.
    PushHasNoTimeout,
    /// Two states that one receipt had within a millisecond share one item of the mailbox.
    MailboxKeysCollide,
    /// A receipt whose socket is opening passes for the end of a drain.
    ReceiptEndsADrain,
    /// A delivery that was pushed is not looked at again.
    RepeatIsForgotten,
    /// An acknowledgement removes somebody else's delivery.
    AckRemovesAnothers,
    /// A delivery that is given up is no dead letter.
    GiveUpIsNotBuried,
    /// What a turn has done is not written down.
    TurnsAreNotNoted,
    /// Nobody looks whether a peer may say what it says.
    PeersReceiptsAreBelieved,
    /// A peer may send what this stack sends to itself.
    PeersMayCloseSockets,
    /// What is wrong with a peer's message is kept where this stack's own dead letters are.
    PeersDeadLettersGoAstray,
    /// A peer's message that failed is looked for on the receipts queue.
    PeersBackOffIsAstray,
    /// A revocation cuts the socket and leaves no row.
    RevocationIsNotWritten,
    /// A revocation looks for the socket before its row is written.
    ConnectionIsReadFirst,
    /// A socket that is only opening counts as cut.
    OpeningCountsAsCut,
    /// The registry's revocation list is not looked at.
    ListIsIgnored,
    /// A yes that is taken back leaves nothing behind.
    YesLeavesNothing,
    /// A yes that was taken back stands again after a while.
    YesComesBack,
    /// A yes of the next session counts as one of the session that ended.
    NextSessionIsCutToo,
    /// An event that failed is deleted.
    FailedEventIsDeleted,
    /// An event that ended a session is deleted without the second look.
    EventIsSeenOnce,
    /// When a session has ended is not looked at, but when its event was sent.
    EventTimeIsIgnored,
}

impl Bug {
    /// Every one.
    pub const ALL: [Self; 47] = [
        Self::RetryIsForgotten,
        Self::FailedPushCountsAsTaken,
        Self::GoneCountsAsTaken,
        Self::ClearIsUnconditional,
        Self::RecordIsUnconditional,
        Self::RecipientsAreNotCompared,
        Self::RepetitionIsUnconditional,
        Self::PushIsNotRecorded,
        Self::LastWordIsNotRepeated,
        Self::MailboxIsNotWritten,
        Self::DrainTakesOutFirst,
        Self::SecondLookIsBlind,
        Self::DrainMissesTheLast,
        Self::WaitingCountsAsPushed,
        Self::CloseHitsTheNewest,
        Self::PushGoesAstray,
        Self::FrameIdIsRandom,
        Self::ConnectIsNotAnnounced,
        Self::DrainIsNotAnnounced,
        Self::BurialIsSkipped,
        Self::NeighboursFailToo,
        Self::LeaseIsAlwaysOver,
        Self::AcceptedBeforeQueued,
        Self::RevocationIsIgnored,
        Self::ConnectIgnoresRevocation,
        Self::StoredStateIsIgnored,
        Self::PushHasNoTimeout,
        Self::MailboxKeysCollide,
        Self::ReceiptEndsADrain,
        Self::PeersReceiptsAreBelieved,
        Self::PeersMayCloseSockets,
        Self::PeersDeadLettersGoAstray,
        Self::PeersBackOffIsAstray,
        Self::RepeatIsForgotten,
        Self::AckRemovesAnothers,
        Self::GiveUpIsNotBuried,
        Self::TurnsAreNotNoted,
        Self::RevocationIsNotWritten,
        Self::ConnectionIsReadFirst,
        Self::OpeningCountsAsCut,
        Self::ListIsIgnored,
        Self::YesLeavesNothing,
        Self::YesComesBack,
        Self::NextSessionIsCutToo,
        Self::FailedEventIsDeleted,
        Self::EventIsSeenOnce,
        Self::EventTimeIsIgnored,
    ];
}
