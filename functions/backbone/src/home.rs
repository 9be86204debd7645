//! Where an agent is at home: at this stack, at a peer, or somewhere that nobody here knows (design 8).

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use crate::limits::ORIGIN_BYTES_MAX;
use crate::origin::split;

/// The public origin of a proxy, e.g. `https://proxy.clawdentity.com`: its name among proxies.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ProxyOrigin(String);

impl ProxyOrigin {
    /// Reads an origin, `http` or `https`: in lower case, without the scheme's own port and without a slash at the end,
    /// so that two spellings of one origin are equal.
    ///
    /// `None` if there is a path, a query or user information, or if it is longer than [`ORIGIN_BYTES_MAX`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let found = split(text)?;
        let is_origin = matches!(found.rest, "" | "/") && found.origin.len() <= ORIGIN_BYTES_MAX;
        is_origin.then_some(Self(found.origin))
    }

    /// The origin as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProxyOrigin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for ProxyOrigin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The proxies that this stack knows: itself, and the peers it exchanges receipts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownHomes {
    own: Option<ProxyOrigin>,
    peers: BTreeSet<ProxyOrigin>,
}

/// Why a stack cannot have these peers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeersError {
    /// Nobody could tell what it sends from what others send.
    #[error("a stack without an origin of its own cannot have peers")]
    NoOrigin,
    /// It would send to itself what it takes to be at home elsewhere.
    #[error("{0} is this stack itself")]
    Itself(ProxyOrigin),
    /// There would be two queues for one peer.
    #[error("{0} is named twice")]
    Twice(ProxyOrigin),
}

/// Where an agent is at home, as this stack sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home<'a> {
    /// At this stack.
    Here,
    /// At a peer.
    Peer(&'a ProxyOrigin),
    /// At a proxy that is no peer.
    Unknown(&'a ProxyOrigin),
}

impl KnownHomes {
    /// Those of a stack that takes everybody to be at home with it.
    #[must_use]
    pub const fn alone() -> Self {
        Self { own: None, peers: BTreeSet::new() }
    }

    /// Those of a stack with an origin of its own and with peers.
    ///
    /// # Errors
    ///
    /// [`PeersError`].
    pub fn new(
        own: Option<ProxyOrigin>,
        peers: impl IntoIterator<Item = ProxyOrigin>,
    ) -> Result<Self, PeersError> {
        let mut known = Self { own, peers: BTreeSet::new() };
        for peer in peers {
            match &known.own {
                None => return Err(PeersError::NoOrigin),
                Some(own) if *own == peer => return Err(PeersError::Itself(peer)),
                Some(_) if known.peers.contains(&peer) => return Err(PeersError::Twice(peer)),
                Some(_) => drop(known.peers.insert(peer)),
            }
        }
        Ok(known)
    }

    /// This stack's own origin, if it has one.
    #[must_use]
    pub const fn own(&self) -> Option<&ProxyOrigin> {
        self.own.as_ref()
    }

    /// Whether a proxy is a peer of this stack.
    #[must_use]
    pub fn is_peer(&self, origin: &ProxyOrigin) -> bool {
        self.peers.contains(origin)
    }

    /// Where an agent is at home of whose home this is known. Nothing known means here, and so does everything at a
    /// stack without an origin.
    #[must_use]
    pub fn locate<'a>(&self, home: Option<&'a ProxyOrigin>) -> Home<'a> {
        match (home, &self.own) {
            (None, _) | (_, None) => Home::Here,
            (Some(home), Some(own)) if home == own => Home::Here,
            (Some(home), Some(_)) if self.is_peer(home) => Home::Peer(home),
            (Some(home), Some(_)) => Home::Unknown(home),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_origin_are_equal() {
        for (spelling, origin) in [
            ("https://proxy.a.com", "https://proxy.a.com"),
            (" HTTPS://Proxy.A.com:443/ ", "https://proxy.a.com"),
            ("http://127.0.0.1:4568", "http://127.0.0.1:4568"),
            ("http://a.com:80", "http://a.com"),
            ("https://a.com:80", "https://a.com:80"),
        ] {
            assert_eq!(ProxyOrigin::parse(spelling).unwrap().as_str(), origin);
        }
    }

    #[test]
    fn what_is_more_or_less_than_an_origin_is_refused() {
        let long = format!("https://{}.com", "a".repeat(ORIGIN_BYTES_MAX));
        for text in [
            "",
            "a.com",
            "ws://a.com",
            "https://",
            "https://u@a.com",
            "https://a.com/x",
            "https://a.com?x",
            "https://a.com/#x",
            "https://a.com:x",
            "https://a b.com",
            &long,
        ] {
            assert_eq!(ProxyOrigin::parse(text), None, "{text}");
        }
    }
    fn origin(text: &str) -> ProxyOrigin {
        ProxyOrigin::parse(text).unwrap()
    }

    #[test]
    fn a_home_is_here_at_a_peer_or_unknown() {
        let [own, peer, other] = ["https://own.com", "https://peer.com", "https://other.com"].map(origin);
        let known = KnownHomes::new(Some(own.clone()), [peer.clone()]).unwrap();
        assert_eq!(known.locate(None), Home::Here);
        assert_eq!(known.locate(Some(&own)), Home::Here);
        assert_eq!(known.locate(Some(&peer)), Home::Peer(&peer));
        assert_eq!(known.locate(Some(&other)), Home::Unknown(&other));
        assert_eq!(KnownHomes::alone().locate(Some(&other)), Home::Here);
    }

    #[test]
    fn peers_are_others_and_named_once() {
        let [own, peer] = ["https://own.com", "https://peer.com"].map(origin);
        let known = |own: Option<&ProxyOrigin>, peers: &[&ProxyOrigin]| {
            KnownHomes::new(own.cloned(), peers.iter().map(|peer| (*peer).clone()))
        };
        assert_eq!(known(None, &[]), Ok(KnownHomes::alone()));
        assert_eq!(known(None, &[&peer]), Err(PeersError::NoOrigin));
        assert_eq!(known(Some(&own), &[&peer, &own]), Err(PeersError::Itself(own.clone())));
        assert_eq!(known(Some(&own), &[&peer, &peer]), Err(PeersError::Twice(peer.clone())));
    }
}
