//! Which letters a move back does not help, by their reasons; `docs/runbook.md` says what helps instead.

use super::Filter;

/// Why letters of a reason are not sent again, unless somebody insists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Futile {
    /// What would become of them, and what to do instead.
    pub(super) why: &'static str,
    /// Whether that would lose the only copy: naming the reason is not enough then.
    loses_it: bool,
}

impl Futile {
    /// What speaks against sending letters of a reason again.
    pub(super) fn of(reason_code: &str) -> Option<Self> {
        let (why, loses_it) = match reason_code {
            "unknown_origin" => (
                "its sender is at home at another proxy and would not find it here: send it on to that peer; if the sender \
                 is at home here after all, pair it so and redrive with --id",
                true,
            ),
            "not_json" | "peer_type" => (
                "it dies again, as it will never be understood: discard it, or redrive with --id or --reason",
                false,
            ),
            "frame_too_large" => (
                "it dies again, unless API Gateway takes larger frames by now: redrive with --id or --reason",
                false,
            ),
            "unreadable_item" | "unreadable_delivery" => (
                "it dies again under another reason, as it is a row and no message: have it posted anew, or redrive with \
                 --id or --reason",
                false,
            ),
            _ => return None,
        };
        Some(Self { why, loses_it })
    }

    /// Whether `filter` names its letters closely enough to send them all the same.
    pub(super) const fn is_insisted_on(self, filter: &Filter) -> bool {
        !filter.id.is_empty() || (filter.reason.is_some() && !self.loses_it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_move_back_would_lose_must_be_named_itself() {
        let by_id = Filter { id: vec!["x".to_owned()], ..Filter::default() };
        let by_reason = |reason: &str| Filter { reason: Some(reason.to_owned()), ..Filter::default() };
        for (reason, everything, reason_named) in [
            ("unknown_origin", false, false),
            ("not_json", false, true),
            ("frame_too_large", false, true),
            ("unreadable_item", false, true),
            ("peer_loop", true, true),
            ("too_many_receives", true, true),
        ] {
            let is_sent =
                |filter: &Filter| Futile::of(reason).is_none_or(|futile| futile.is_insisted_on(filter));
            assert_eq!(is_sent(&Filter::default()), everything, "{reason}");
            assert_eq!(is_sent(&by_reason(reason)), reason_named, "{reason}");
            assert!(is_sent(&by_id), "{reason}");
        }
    }
}
