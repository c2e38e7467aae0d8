//! A TCP port that ends TLS in front of another one.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::certificates::Certificate;

/// The port. Dropping the value closes it.
#[derive(Debug)]
pub struct TlsFront {
    port: u16,
    _end: oneshot::Sender<()>,
}

impl TlsFront {
    /// Opens a port of this machine that shows `certificate` and leads to another one.
    ///
    /// # Panics
    /// When the certificate cannot be used, or the system gives no port or no thread.
    pub fn before(port: u16, certificate: &Certificate) -> Self {
        let chain = CertificateDer::pem_file_iter(&certificate.file).expect("a file of certificates");
        let chain = chain.collect::<Result<Vec<_>, _>>().expect("certificates");
        let key = PrivateKeyDer::from_pem_file(&certificate.key_file).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider())).with_safe_default_protocol_versions();
        let config = config.expect("protocols").with_no_client_auth().with_single_cert(chain, key).expect("a key for the certificate");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let own = listener.local_addr().expect("its address").port();
        let (end, ended) = oneshot::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a small runtime");
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, acceptor, port) => {}
                    _ = ended => {}
                }
            });
        });
        Self { port: own, _end: end }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, port: u16) {
    listener.set_nonblocking(true).expect("a socket of our own");
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listening socket");
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            // Whoever refuses the certificate goes away here.
            let Ok(mut client) = acceptor.accept(client).await else { return };
            if let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await {
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
        });
    }
}
