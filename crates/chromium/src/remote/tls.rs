//! TLS 1.3 in both directions with the certificates of one authority.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, ServerConfig, SignatureScheme};

use super::RemoteError;
use super::trust::{Tls, TlsFiles};

/// Reads the files and prepares both roles.
pub(crate) fn read(files: &TlsFiles) -> Result<Tls, RemoteError> {
    prepare(files, |builder, authority, _| builder.with_root_certificates(authority))
}

/// The same, for a client that accepts the certificate of these files alone, under whatever name.
pub(crate) fn read_pinned(files: &TlsFiles) -> Result<Tls, RemoteError> {
    prepare(files, |builder, _, own| builder.dangerous().with_custom_certificate_verifier(Arc::new(Pinned { own, provider: provider() })))
}

type ClientBuilder<S> = tokio_rustls::rustls::ConfigBuilder<ClientConfig, S>;

fn prepare(
    files: &TlsFiles,
    verify: impl FnOnce(
        ClientBuilder<tokio_rustls::rustls::WantsVerifier>,
        Arc<RootCertStore>,
        CertificateDer<'static>,
    ) -> ClientBuilder<tokio_rustls::rustls::client::WantsClientCert>,
) -> Result<Tls, RemoteError> {
    let chain = certificates(&files.certificate)?;
    let own = chain.first().cloned().ok_or_else(|| unfit(&files.certificate, "there is no certificate in it"))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| unfit(&files.key, error))?;
    let mut authority = RootCertStore::empty();
    for certificate in certificates(&files.authority)? {
        authority.add(certificate).map_err(|error| unfit(&files.authority, error))?;
    }
    let authority = Arc::new(authority);
    let verifier = WebPkiClientVerifier::builder_with_provider(authority.clone(), provider());
    let verifier = verifier.build().map_err(|error| unfit(&files.authority, error))?;
    let server = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13]);
    let server = server.map_err(|error| unfit(&files.certificate, error))?.with_client_cert_verifier(verifier);
    let server = server.with_single_cert(chain.clone(), key.clone_key()).map_err(|error| unfit(&files.key, error))?;
    let client = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13]);
    let client = verify(client.map_err(|error| unfit(&files.certificate, error))?, authority, own);
    let client = client.with_client_auth_cert(chain, key).map_err(|error| unfit(&files.key, error))?;
    Ok(Tls { server: Arc::new(server), client: Arc::new(client) })
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, RemoteError> {
    let found = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match found {
        Ok(found) if found.is_empty() => Err(unfit(file, "there is no certificate in it")),
        Ok(found) => Ok(found),
        Err(error) => Err(unfit(file, error)),
    }
}

fn unfit(file: &Path, reason: impl std::fmt::Display) -> RemoteError {
    RemoteError::Certificate { file: file.to_owned(), reason: reason.to_string() }
}

/// Accepts one certificate: that of the worker whose files these are.
#[derive(Debug)]
struct Pinned {
    own: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if *end_entity == self.own {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 is spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
