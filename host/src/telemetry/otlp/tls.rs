//! TLS: the certificates to trust, and a client certificate.

use std::error::Error;
use std::{fmt, io};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// TLS with a receiver: `OTEL_EXPORTER_OTLP_CERTIFICATE`, `_CLIENT_KEY` and
/// `_CLIENT_CERTIFICATE`, as the PEM text that their files hold.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// The only certificates to trust; none: those of the system and of Mozilla.
    pub authorities: Option<Vec<u8>>,
    /// For receivers that ask for a client certificate.
    pub identity: Option<ClientIdentity>,
}

/// A client certificate with its chain, and its key, as PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    pub certificate: Vec<u8>,
    pub key: Vec<u8>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("authorities", &self.authorities.is_some())
            .field("identity", &self.identity.is_some())
            .finish()
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientIdentity(…)")
    }
}

impl Tls {
    /// For tonic.
    pub(super) fn for_grpc(&self) -> ClientTlsConfig {
        let mut config = ClientTlsConfig::new();
        config = match &self.authorities {
            Some(authorities) => config.ca_certificate(Certificate::from_pem(authorities)),
            None => config.with_native_roots().with_webpki_roots(),
        };
        match &self.identity {
            Some(identity) => config.identity(Identity::from_pem(&identity.certificate, &identity.key)),
            None => config,
        }
    }

    /// For reqwest, which without it would need a process-wide provider, and
    /// roots that the system may not have.
    ///
    /// # Errors
    /// What is wrong with a certificate or the key.
    pub fn for_http(&self) -> Result<ClientConfig, String> {
        let provider = rustls::crypto::ring::default_provider();
        let config = ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(self.roots()?);
        let mut config = match &self.identity {
            Some(identity) => {
                let chain = certificates(&identity.certificate)?;
                let key = PrivateKeyDer::from_pem_slice(&identity.key)
                    .map_err(|error| format!("the client key is not PEM: {error}"))?;
                config.with_client_auth_cert(chain, key).map_err(|error| error.to_string())?
            }
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        match &self.authorities {
            Some(authorities) => {
                for certificate in certificates(authorities)? {
                    roots.add(certificate).map_err(|error| error.to_string())?;
                }
            }
            None => {
                // A system without certificates, or with a broken one, still has Mozilla's.
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            }
        }
        Ok(roots)
    }
}

/// Whether an error comes from TLS itself: a certificate that is not trusted or has
/// another name, a client certificate that is missing, a server that speaks no TLS.
/// Another attempt meets the same.
pub(super) fn is_refusal(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        // Of an alert behind the handshake, HTTP/2 keeps the words alone.
        if error.is::<rustls::Error>() || error.to_string().contains("received fatal alert: ") {
            return true;
        }
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            // `source` would skip it.
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}

/// The certificates of a PEM text.
///
/// # Errors
/// It has none, or one cannot be read.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("a certificate is not PEM: {error}"))?;
    if certificates.is_empty() {
        return Err("there is no certificate in it".to_owned());
    }
    Ok(certificates)
}
