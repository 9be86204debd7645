//! TLS as AWS's endpoints speak it: a certificate under an intermediate authority, under a root that somebody trusts.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::serve::Listener;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

use crate::Result;

/// The roots that the functions carry: the file of the operator's own authorities is as long as theirs, and one longer.
const AMAZON_ROOTS: &str = include_str!("../../../functions/backbone-aws/src/amazon_roots.pem");

/// A TCP listener whose connections speak TLS.
pub(crate) struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

/// A listener for `localhost`, and the file with the root that vouches for it, in `folder`.
pub(crate) fn listen(tcp: TcpListener, folder: &Path) -> Result<(TlsListener, PathBuf)> {
    let root_key = KeyPair::generate()?;
    let root_params = authority("Bench Root")?;
    let root = root_params.self_signed(&root_key)?;
    let root_issuer = Issuer::new(root_params, root_key);

    let middle_key = KeyPair::generate()?;
    let middle_params = authority("Bench Intermediate")?;
    let middle = middle_params.signed_by(&middle_key, &root_issuer)?;
    let middle_issuer = Issuer::new(middle_params, middle_key);

    let key = KeyPair::generate()?;
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()])?.signed_by(&key, &middle_issuer)?;

    let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone(), middle.der().clone()];
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()]; // as SQS and DynamoDB

    let bundle = folder.join("roots.pem");
    std::fs::write(&bundle, format!("{AMAZON_ROOTS}{}", root.pem()))?;
    Ok((TlsListener { tcp, acceptor: TlsAcceptor::from(Arc::new(config)) }, bundle))
}

fn authority(name: &str) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Ok(params)
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    /// Whoever does not trust the root hangs up in the middle: the next one is waited for.
    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, address)) = self.tcp.accept().await else { continue };
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}
