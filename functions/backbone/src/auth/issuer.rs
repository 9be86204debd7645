//! The registry, as its tokens name it.

use crate::origin::split;

/// The registry's origin, which every token must name as its issuer, and its host, which every DID must name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    origin: String,
    host: String,
}

impl Issuer {
    /// Takes the origin from the registry's URL, e.g. `https://registry.clawdentity.com/`.
    ///
    /// `None` unless it is `http` or `https` with a host name or an IPv4 address and without user information
    /// (contract 5.3). A path is dropped, and so is the scheme's own port.
    #[must_use]
    pub fn parse(registry_url: &str) -> Option<Self> {
        let found = split(registry_url)?;
        Some(Self { origin: found.origin, host: found.host })
    }

    /// Scheme, host and port, without a slash at the end.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The host alone: the authority of every DID that this registry may vouch for.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_is_what_tokens_name() {
        for (url, origin, host) in [
            (
                "https://registry.clawdentity.com",
                "https://registry.clawdentity.com",
                "registry.clawdentity.com",
            ),
            (
                "HTTPS://Registry.Clawdentity.com:443/v1/",
                "https://registry.clawdentity.com",
                "registry.clawdentity.com",
            ),
            ("http://127.0.0.1:4010", "http://127.0.0.1:4010", "127.0.0.1"),
        ] {
            let issuer = Issuer::parse(url).unwrap();
            assert_eq!((issuer.origin(), issuer.host()), (origin, host));
        }
    }

    #[test]
    fn what_cannot_be_an_issuer_is_refused() {
        for url in [
            "",
            "registry.com",
            "ftp://a.com",
            "https://",
            "https://u@a.com",
            "https://[::1]",
            "https://a.com:x",
        ] {
            assert_eq!(Issuer::parse(url), None, "{url}");
        }
    }
}
