//! The steps of a receipt's way, as log lines name them in their field [`STEP`]. Whoever follows a receipt goes by these
//! names and not by the words around them.

/// The field with the step's name.
pub const STEP: &str = "step";

/// The receipt is on the queue.
pub const QUEUED: &str = "queued";
/// It is on the queue of the peer at which its sender is at home.
pub const FORWARDED: &str = "forwarded";
/// It is a dead letter from the start: its sender is at home at nobody's that is known here.
pub const KEPT_DEAD: &str = "kept_dead";
/// It is in its sender's mailbox.
pub const WAITING: &str = "waiting";
/// It repeats the stored state.
pub const REPEATED: &str = "repeated";
/// A later state is stored.
pub const OVERTAKEN: &str = "overtaken";
/// It names another recipient than the stored state.
pub const OTHER_RECIPIENT: &str = "other_recipient";
/// Its message goes back to the queue, to be shown again.
pub const SHOWN_AGAIN: &str = "shown_again";
