//! Every limit of the receipt path, its unit and where it comes from.
//!
//! "Design" is the architecture's list of numbers. Those that an operator may change are parameters of the
//! template; their defaults live there.

/// Largest accepted POST body (design: 413 above it).
pub const BODY_BYTES_MAX: usize = 16 * 1024;

/// A receipt's reason is cut to this many characters (design).
pub const REASON_CHARS_MAX: usize = 1_000;

/// How far a proof's timestamp may lie from our clock, either way (contract 5.4: 300 passes, 301 does not).
pub const PROOF_SKEW_S_MAX: u64 = 300;

/// How long a nonce is remembered.
///
/// A proof stamped [`PROOF_SKEW_S_MAX`] ahead is fresh for twice that time, so its nonce must be known for at
/// least as long or it could be replayed; a minute is added for clocks that differ between instances.
pub const NONCE_LIFE_S: u64 = 2 * PROOF_SKEW_S_MAX + 60;

/// Longest accepted identity or access token. API Gateway passes 10 KB of headers at most; an AIT is below 1 KB. Longer
/// ones are refused as malformed before anything is computed from them.
pub const HEADER_BYTES_MAX: usize = 8 * 1024;

/// Longest accepted origin of a proxy: the longest host name there can be, with its scheme and port.
pub const ORIGIN_BYTES_MAX: usize = 253 + "https://".len() + ":65535".len();

/// How long a registry's yes to an access token stands (design 6).
pub const ACCESS_FRESH_MS: u64 = 60_000;

/// How long a yes is honoured while the registry cannot be reached, in fail-open (design 6).
pub const ACCESS_OUTAGE_MS: u64 = 15 * 60_000;

/// After the registry has failed to answer about an access token, those who hold an earlier yes do not wait for it this
/// long.
pub const REGISTRY_PAUSE_MS: u64 = 5_000;

/// How long rows that registry events write (keys, age of the CRL) are kept in memory (design 6).
pub const SNAPSHOT_MEMORY_MS: u64 = 60_000;

/// The registry is asked for keys, and for the CRL, at most this often by one instance, whatever the `kid`.
pub const REGISTRY_ASK_INTERVAL_MS: u64 = 60_000;

/// How old a CRL that this instance fetched itself may get before it is fetched again (contract 5.6).
pub const CRL_REFRESH_MS: u64 = 300_000;

/// Keys older than this are fetched again, by the instance itself if nobody else did: twice the interval at which
/// `registry-events` renews them, so that one missed round costs nothing.
pub const KEYS_REFRESH_MS: u64 = 600_000;

/// In fail-closed, keys older than this are not used (contract 5.5: cached for an hour).
pub const KEYS_AGE_MS_MAX: u64 = 3_600_000;

/// An instance adds its count to the shared one every so many requests (design 6).
pub const RATE_REPORT_EVERY: u32 = 10;

/// How far the time of a peer's receipt may lie ahead of our clock. One from the future would overtake all that its
/// recipient says until then.
pub const PEER_CLOCK_AHEAD_MS_MAX: u64 = 5 * 60_000;

/// A 410 from a connection younger than this means "not open yet" (design 4). The design says 15 s, but a handshake may take
/// longer, and who took it for over would forget a socket that opens after all.
pub const CONNECTION_OPENING_MS: u64 = HANDSHAKE_MS_MAX;

/// When a record whose connection is not open yet is looked at again.
pub const CONNECTION_OPENING_RETRY_S: u32 = 2;

/// Pushes under way at once in one invocation (design 12).
pub const PUSHES_AT_ONCE: usize = 10;

/// Waiting receipts read and pushed per page of a drain (design 12).
pub const DRAIN_PAGE: usize = 25;

/// Pages that one invocation drains before it lets other senders in and continues by message.
pub const DRAIN_PAGES_PER_INVOCATION: usize = 8;

/// A drain starts another page only while at least this much of the invocation is left.
pub const DRAIN_TIME_LEFT_MS_MIN: u64 = 12_000;

/// A page stops pushing while at least this much of the invocation is left, to settle what it has pushed.
pub const SETTLE_TIME_LEFT_MS_MIN: u64 = 5_000;

/// A socket cannot be posted to before `$connect` has returned, so `connected` arrives a little later.
pub const CONNECTED_DELAY_S: u32 = 1;

/// After the last own attempt a receipt waits in the mailbox and the connection is drained this much later.
pub const DRAIN_AFTER_FAILURE_DELAY_S: u32 = 60;

/// For this long an announced drain is still to come, so that another need not be announced; the rest of
/// [`DRAIN_AFTER_FAILURE_DELAY_S`] is for clocks that differ.
pub const DRAIN_ANNOUNCEMENT_MS: u64 = 45_000;

/// First and longest wait of a record's back-off: doubling, with full jitter (design 12).
pub const BACK_OFF_FIRST_S: u32 = 2;
/// See [`BACK_OFF_FIRST_S`].
pub const BACK_OFF_S_MAX: u32 = 300;

/// From this receive on a receipt goes to the mailbox and no longer back to the queue (design 4). The queue
/// itself gives up at the tenth.
pub const RECEIVES_BEFORE_MAILBOX: u32 = 7;

/// A delivery whose row has been due for this long has lost the message that was to come then, or it would be here: any
/// other message about it takes its place.
pub const DELIVERY_TURN_GRACE_MS: u64 = 45_000;

/// How long a system delivery waits for its first acknowledgement before it is pushed again; doubled with every attempt
/// (design 4). A connector answers when its webhook has, which takes it up to 30 s.
pub const DELIVERY_REPEAT_FIRST_S: u32 = 45;
/// Its longest wait, and how often a delivery is looked at whose recipient is away (design 4). No longer than the queue
/// can delay a message.
pub const DELIVERY_REPEAT_S_MAX: u32 = 900;
/// So often a system delivery is pushed before it is given up (design 4).
pub const DELIVERY_ATTEMPTS_MAX: u32 = 25;
/// A delivery's row outlives its retention by this long, so that whoever gives it up still finds it.
pub const DELIVERY_KEPT_AFTER_RETENTION_S: u64 = 24 * 60 * 60;
/// System deliveries read and pushed per page of a drain, like receipts.
pub const DELIVERIES_PAGE: usize = DRAIN_PAGE;

/// A connection displaced within this time of its own start counts as a quick supersede (design 5).
pub const QUICK_SUPERSEDE_MS: u64 = 10_000;
/// So many quick supersedes in a row are a reconnect war.
pub const QUICK_SUPERSEDES_MAX: u32 = 3;
/// How long newcomers are refused then.
pub const RECONNECT_BRAKE_MS: u64 = 60_000;

/// A connection that dies within this time of the start of a drain is taken to have died of it (design 4).
pub const SHORT_LIFE_MS: u64 = 30_000;
/// So many short lives within [`SHORT_LIVES_WINDOW_MS`] put a connector into quarantine.
pub const SHORT_LIVES_MAX: u32 = 3;
/// See [`SHORT_LIVES_MAX`].
pub const SHORT_LIVES_WINDOW_MS: u64 = 5 * 60_000;
/// How often a connector in quarantine is tried with one receipt. No longer than the queue can delay a message.
pub const QUARANTINE_PROBE_MS: u64 = 15 * 60_000;

/// Largest client frame that is looked at. API Gateway passes 128 KB in frames of 32 KB; nothing a connector says
/// to this service that matters is longer than this.
pub const CLIENT_FRAME_BYTES_MAX: usize = 128 * 1024;

/// Largest body of posted events (issue: SQS's own limit for a batch when this was written).
pub const EVENTS_BYTES_MAX: usize = 256 * 1024;
/// Most events in one POST: as many as SQS takes in one call.
pub const EVENTS_PER_POST_MAX: usize = 10;

/// Longest key set of the registry that is read: it must fit into a row, of which `DynamoDB` takes 400 KB.
pub const KEYS_BYTES_MAX: usize = 350 * 1024;
/// Longest answer of the registry about an access token that is read; nothing in it matters but its status.
pub const REGISTRY_ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// Longest revocation list that is read. An entry has about 210 bytes, each reissue of a token adds one, and the contract
/// does not say that any is ever taken off: about 75,000 fit. Turning so many into rows takes several rounds.
pub const CRL_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Events handled at once in one invocation: a whole batch.
pub const EVENTS_AT_ONCE: usize = 10;
/// Entries of a revocation list turned into rows at once.
pub const REVOCATIONS_AT_ONCE: usize = 10;

/// Yeses of one agent taken back at once.
pub const YESES_AT_ONCE: usize = 10;

/// One operation on AWS is given up after so long. It may have happened by then.
pub const OPERATION_MS_MAX: u64 = 8_000;
/// The longest timeout that `authorizer` may have: API Gateway waits no longer for it.
pub const AUTHORIZER_MS_MAX: u64 = 10_000;
/// The longest timeout that `connection` may have.
pub const CONNECTION_MS_MAX: u64 = 14_000;
/// A handshake that was let in before a session ended has written its row, and its yes of the registry, after this long.
pub const HANDSHAKE_MS_MAX: u64 = AUTHORIZER_MS_MAX + CONNECTION_MS_MAX + CLOCKS_APART_MS;
/// Somebody may read a yes for so long after somebody else has begun to take it back.
pub const ACCESS_TAKE_BACK_MS: u64 = OPERATION_MS_MAX + CLOCKS_APART_MS;
/// A session may live for so long after the time of the event that tells of its end: the registry sends it in a transaction
/// that ends later, and its clock may be behind, by as much as the clock of somebody who signs. Rather a later session is cut,
/// whose agent comes back at once, than one that has ended kept.
pub const EVENT_TIME_EARLY_MS_MAX: u64 = PROOF_SKEW_S_MAX * 1_000;
/// That a yes was taken back is remembered for so long: API Gateway has ended by then what was opened on it.
pub const ACCESS_TAKEN_BACK_KEPT_S: u64 = 2 * 60 * 60;
/// How far the clocks of AWS and of functions may be apart.
pub const CLOCKS_APART_MS: u64 = 1_000;
