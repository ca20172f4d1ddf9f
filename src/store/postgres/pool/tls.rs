//! How the server at the other end of a connection is verified.

use std::sync::Arc;

use actors::ports::store::StoreError;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::{DatabaseTls, RootCertificates};

/// Returns what encrypts connections; `None` if they aren't to be.
pub(super) fn connector(tls: &DatabaseTls) -> Result<Option<MakeRustlsConnect>, StoreError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| unavailable(&error))?;
    let config = match tls {
        DatabaseTls::Off => return Ok(None),
        DatabaseTls::Unverified => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(LenientVerifier { authorities: None, provider }))
            .with_no_client_auth(),
        DatabaseTls::VerifyAuthority(roots) => {
            let verifier = WebPkiServerVerifier::builder_with_provider(load(roots)?, provider.clone());
            let authorities = Some(verifier.build().map_err(|error| unavailable(&error))?);
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(LenientVerifier { authorities, provider }))
                .with_no_client_auth()
        }
        DatabaseTls::VerifyFull(roots) => builder.with_root_certificates(load(roots)?).with_no_client_auth(),
    };
    Ok(Some(MakeRustlsConnect::new(config)))
}

fn unavailable(error: &impl ToString) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

fn load(roots: &RootCertificates) -> Result<Arc<RootCertStore>, StoreError> {
    let mut store = RootCertStore::empty();
    match roots {
        RootCertificates::System => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        RootCertificates::File(path) => {
            let unreadable = |error| {
                StoreError::Unavailable(format!("sslrootcert {} can't be read: {error}", path.display()))
            };
            for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
                store.add(certificate.map_err(unreadable)?).map_err(|error| unavailable(&error))?;
            }
        }
    }
    if store.is_empty() {
        return Err(StoreError::Unavailable("TLS is asked for, and there is no root certificate".into()));
    }
    Ok(Arc::new(store))
}

/// Accepts a certificate of any of the authorities, whichever host it names, or any certificate at all. The server
/// must have its key either way.
#[derive(Debug)]
struct LenientVerifier {
    authorities: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for LenientVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(authorities) = &self.authorities else { return Ok(ServerCertVerified::assertion()) };
        match authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is compared last, so everything else is right.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
