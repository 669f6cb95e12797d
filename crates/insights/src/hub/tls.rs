//! Certificates and keys from PEM files, for asking the hub and for being asked by its proxy.
//!
//! With `internal_ssl` the hub, its proxy and its services each show a certificate of the hub's
//! own authority to the others.

use crate::config::{HubConfig, WebConfig};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A certificate or key that cannot be used; the process ends with code 64.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum TlsFileError {
    #[error("`{key}`: could not read `{}`", file.display())]
    Unreadable {
        key: &'static str,
        file: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("`{key}`: `{}` holds no PEM certificate or key", file.display())]
    NotPem {
        key: &'static str,
        file: PathBuf,
        #[source]
        source: pem::Error,
    },
    #[error("`{key}`: the certificate or key cannot be used")]
    Unusable {
        key: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Adds the hub's authority and our own certificate to a client.
pub(super) fn client_builder(config: &HubConfig) -> Result<reqwest::ClientBuilder, TlsFileError> {
    let mut builder = reqwest::Client::builder();
    if let Some(file) = &config.ca_file {
        let certificates = reqwest::Certificate::from_pem_bundle(&read("hub.ca_file", file)?)
            .map_err(|source| unusable("hub.ca_file", source))?;
        builder = builder.tls_certs_merge(certificates);
    }
    if let (Some(cert_file), Some(key_file)) = (&config.cert_file, &config.key_file) {
        let mut pem = read("hub.key_file", key_file)?;
        pem.push(b'\n');
        pem.extend(read("hub.cert_file", cert_file)?);
        let identity = reqwest::Identity::from_pem(&pem)
            .map_err(|source| unusable("hub.cert_file", source))?;
        builder = builder.identity(identity);
    }
    Ok(builder)
}

/// How to serve https, if the configuration says so.
pub fn server_config(config: &WebConfig) -> Result<Option<Arc<ServerConfig>>, TlsFileError> {
    let (Some(cert_file), Some(key_file)) = (&config.cert_file, &config.key_file) else {
        return Ok(None);
    };
    let chain = certificates("web.cert_file", cert_file)?;
    let key = PrivateKeyDer::from_pem_slice(&read("web.key_file", key_file)?)
        .map_err(|source| not_pem("web.key_file", key_file, source))?;
    let builder = ServerConfig::builder();
    let builder = match &config.client_ca_file {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates("web.client_ca_file", file)? {
                roots
                    .add(certificate)
                    .map_err(|source| unusable("web.client_ca_file", source))?;
            }
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots))
                .build()
                .map_err(|source| unusable("web.client_ca_file", source))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let config = builder
        .with_single_cert(chain, key)
        .map_err(|source| unusable("web.cert_file", source))?;
    Ok(Some(Arc::new(config)))
}

fn certificates(
    key: &'static str,
    file: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    CertificateDer::pem_slice_iter(&read(key, file)?)
        .collect::<Result<_, _>>()
        .map_err(|source| not_pem(key, file, source))
}

fn read(key: &'static str, file: &Path) -> Result<Vec<u8>, TlsFileError> {
    std::fs::read(file).map_err(|source| TlsFileError::Unreadable {
        key,
        file: file.to_owned(),
        source,
    })
}

fn not_pem(key: &'static str, file: &Path, source: pem::Error) -> TlsFileError {
    TlsFileError::NotPem {
        key,
        file: file.to_owned(),
        source,
    }
}

fn unusable(
    key: &'static str,
    source: impl std::error::Error + Send + Sync + 'static,
) -> TlsFileError {
    TlsFileError::Unusable {
        key,
        source: Box::new(source),
    }
}
