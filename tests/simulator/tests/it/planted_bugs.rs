//! A checker that can fail: each of these mistakes is found, by the invariant that it breaks.

use simulator::{Bug, Invariant, run_seed};

/// So many seeds are tried for each; what a change of the library makes harder to find should be noticed.
const SEEDS_MAX: u64 = 5_000;

#[expect(clippy::print_stdout, reason = "which seed and which invariant is the result")]
fn is_found(bug: Bug, expected: &[Invariant]) {
    let found = (0..SEEDS_MAX).find_map(|seed| {
        let violation = run_seed(seed, Some(bug), false).violations.into_iter().next()?;
        Some((seed, violation))
    });
    let Some((seed, violation)) = found else { panic!("{bug:?} is not found in {SEEDS_MAX} seeds") };
    println!("{bug:?}: seed {seed}, {violation}");
    assert!(expected.contains(&violation.invariant), "{bug:?}: seed {seed} shows {violation}");
}

macro_rules! found {
    ($($test:ident: $bug:ident by $($invariant:ident),+;)+) => {
        $(
            #[test]
            fn $test() {
                is_found(Bug::$bug, &[$(Invariant::$invariant),+]);
            }
        )+

        #[test]
        fn every_bug_has_a_test() {
            let tested = [$(Bug::$bug),+];
            for bug in Bug::ALL {
                assert!(tested.contains(&bug), "{bug:?}");
            }
        }
    };
}

found! {
    retry_is_forgotten: RetryIsForgotten by NothingIsLost;
    failed_push_counts_as_taken: FailedPushCountsAsTaken by NothingIsLost;
    gone_counts_as_taken: GoneCountsAsTaken by NothingIsLost;
    clear_is_unconditional: ClearIsUnconditional by NewerSocketSurvives;
    record_is_unconditional: RecordIsUnconditional by NeverRegresses;
    recipients_are_not_compared: RecipientsAreNotCompared by NeverRegresses;
    repetition_is_unconditional: RepetitionIsUnconditional by NothingIsLost;
    push_is_not_recorded: PushIsNotRecorded by NothingIsLost, RepetitionsAreAlike, NeverRegresses;
    last_word_is_not_repeated: LastWordIsNotRepeated by NothingIsLost;
    mailbox_is_not_written: MailboxIsNotWritten by NothingIsLost;
    drain_takes_out_first: DrainTakesOutFirst by NothingIsLost;
    second_look_is_blind: SecondLookIsBlind by Settles;
    drain_misses_the_last: DrainMissesTheLast by Settles;
    waiting_counts_as_pushed: WaitingCountsAsPushed by NothingIsLost;
    close_hits_the_newest: CloseHitsTheNewest by NewerSocketSurvives;
    push_goes_astray: PushGoesAstray by OnlyToItsSender;
    frame_id_is_random: FrameIdIsRandom by RepetitionsAreAlike;
    connect_is_not_announced: ConnectIsNotAnnounced by Settles;
    drain_is_not_announced: DrainIsNotAnnounced by Settles;
    burial_is_skipped: BurialIsSkipped by NothingIsLost;
    neighbours_fail_too: NeighboursFailToo by FailsAlone;
    lease_is_always_over: LeaseIsAlwaysOver by Settles;
    accepted_before_queued: AcceptedBeforeQueued by DurableBeforeAccepted;
    revocation_is_ignored: RevocationIsIgnored by RevokedIsCut;
    connect_ignores_revocation: ConnectIgnoresRevocation by RevokedIsCut;
    stored_state_is_ignored: StoredStateIsIgnored by RepetitionsAreAlike, NeverRegresses;
    push_has_no_timeout: PushHasNoTimeout by InTime;
    mailbox_keys_collide: MailboxKeysCollide by NothingIsLost;
    receipt_ends_a_drain: ReceiptEndsADrain by NothingIsLost;
    peers_receipts_are_believed: PeersReceiptsAreBelieved by OnlyToItsSender;
    peers_may_close_sockets: PeersMayCloseSockets by NewerSocketSurvives, NothingIsLost;
    peers_dead_letters_go_astray: PeersDeadLettersGoAstray by OnlyToItsSender, NewerSocketSurvives, NothingIsLost;
    peers_back_off_is_astray: PeersBackOffIsAstray by FailsAlone;
    repeat_is_forgotten: RepeatIsForgotten by NothingIsLost;
    ack_removes_anothers: AckRemovesAnothers by NothingIsLost;
    give_up_is_not_buried: GiveUpIsNotBuried by NothingIsLost;
    turns_are_not_noted: TurnsAreNotNoted by RepetitionsAreAlike;
    revocation_is_not_written: RevocationIsNotWritten by RevokedIsCut, NewerSocketSurvives;
    connection_is_read_first: ConnectionIsReadFirst by RevokedIsCut;
    opening_counts_as_cut: OpeningCountsAsCut by RevokedIsCut, NewerSocketSurvives;
    list_is_ignored: ListIsIgnored by RevokedIsCut;
    yes_leaves_nothing: YesLeavesNothing by EndedIsCut;
    yes_comes_back: YesComesBack by EndedIsCut;
    next_session_is_cut_too: NextSessionIsCutToo by NewerSocketSurvives;
    failed_event_is_deleted: FailedEventIsDeleted by EndedIsCut, RevokedIsCut;
    event_is_seen_once: EventIsSeenOnce by EndedIsCut;
    event_time_is_ignored: EventTimeIsIgnored by NewerSocketSurvives;
}
