//! Whom TLS trusts, and the connectors that do.
//!
//! AWS's endpoints are signed by one of five roots. They are compiled in, because loading the system's store would
//! cost more than all the rest of a cold start. The registry may be signed by anybody, so its connector loads that
//! store, on its first use.

use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpConnector};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::settings::{AWS_CA_BUNDLE, Settings, SettingsError};

/// Amazon Root CA 1 to 4 and Starfield Services Root CA G2: <https://www.amazontrust.com/repository/>.
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon_roots.pem");

/// The longest a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Certificates that are trusted instead of everything else, as PEM.
#[derive(Clone, Debug)]
pub(crate) struct CaBundle(Vec<u8>);

impl CaBundle {
    /// Reads the file that the settings name, if they name one.
    pub(crate) fn from_settings(settings: &Settings) -> Result<Option<Self>, SettingsError> {
        let Some(path) = settings.get(AWS_CA_BUNDLE) else { return Ok(None) };
        let unusable = SettingsError::Unusable { name: AWS_CA_BUNDLE, expected: "a readable PEM file" };
        match std::fs::read(path) {
            Ok(pem) if is_pem(&pem) => Ok(Some(Self(pem))),
            Ok(_) | Err(_) => Err(unusable),
        }
    }
}

/// Whether this is at least one certificate and nothing that cannot be read. The connector would panic otherwise.
fn is_pem(pem: &[u8]) -> bool {
    let mut certificates = CertificateDer::pem_slice_iter(pem).peekable();
    certificates.peek().is_some() && certificates.all(|certificate| certificate.is_ok())
}

/// Who may have signed the certificate of the other side.
#[derive(Clone, Debug)]
pub(crate) enum Trust {
    /// Nobody: the other side is a local one, spoken to without TLS.
    Nobody,
    /// Amazon's own authorities.
    Amazon,
    /// Whatever the system trusts.
    System,
    /// What the operator has put into a file.
    Bundle(CaBundle),
}

impl Trust {
    /// Whom to trust at `endpoint`: nobody without TLS, else the operator's bundle, else `otherwise`.
    pub(crate) fn at(endpoint: Option<&str>, bundle: Option<&CaBundle>, otherwise: Self) -> Self {
        match (endpoint, bundle) {
            (Some(endpoint), _) if endpoint.starts_with("http://") => Self::Nobody,
            (_, Some(bundle)) => Self::Bundle(bundle.clone()),
            (_, None) => otherwise,
        }
    }

    fn into_store(self) -> TrustStore {
        match self {
            Self::Nobody => TrustStore::empty(),
            Self::Amazon => TrustStore::empty().with_pem_certificate(AMAZON_ROOTS),
            Self::System => TrustStore::default(),
            Self::Bundle(CaBundle(pem)) => TrustStore::empty().with_pem_certificate(pem),
        }
    }
}

/// A connector with a connection pool of its own. It gives up a silent other side after `read_timeout`.
pub(crate) fn connector(trust: Trust, read_timeout: Duration) -> SharedHttpConnector {
    let timeouts =
        HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(read_timeout).build();
    let context = TlsContext::builder()
        .with_trust_store(trust.into_store())
        .build()
        .expect("a TLS context without server names is always valid");
    let connector = Connector::builder()
        .connector_settings(timeouts)
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(context)
        .build();
    SharedHttpConnector::new(connector)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stub::settings;

    #[test]
    fn the_compiled_in_roots_are_five_that_everybody_trusts() {
        let roots: Vec<_> = CertificateDer::pem_slice_iter(AMAZON_ROOTS).map(Result::unwrap).collect();
        assert_eq!(roots.len(), 5);
        for root in roots {
            assert!(webpki_root_certs::TLS_SERVER_ROOT_CERTS.contains(&root), "a root is no longer trusted");
        }
        connector(Trust::Amazon, Duration::from_secs(1));
    }

    #[test]
    fn plain_http_needs_no_roots_and_a_bundle_replaces_them() {
        let bundle = CaBundle(AMAZON_ROOTS.to_vec());
        let at = |endpoint, bundle| Trust::at(endpoint, bundle, Trust::Amazon);
        assert!(matches!(at(Some("http://127.0.0.1:4566"), Some(&bundle)), Trust::Nobody));
        assert!(matches!(at(Some("https://a.example"), Some(&bundle)), Trust::Bundle(_)));
        assert!(matches!(at(Some("https://a.example"), None), Trust::Amazon));
        assert!(matches!(at(None, None), Trust::Amazon));
    }

    #[test]
    fn a_bundle_that_cannot_be_read_stops_the_start() {
        for (path, readable) in
            [("src/amazon_roots.pem", true), ("src/tls.rs", false), ("src/none.pem", false)]
        {
            let settings = settings(&[(AWS_CA_BUNDLE, path)]);
            assert_eq!(CaBundle::from_settings(&settings).is_ok(), readable, "{path}");
        }
    }
}
