//! Serves a router on a bound port until told to stop; then finishes what was begun.

use axum::Router;
use axum_server::tls_rustls::RustlsConfig;
use axum_server::{Handle, Server};
use hyper_util::rt::TokioTimer;
use rustls::ServerConfig;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a client may take to send a request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long requests may take to finish once we are told to stop; the process ends within five
/// seconds.
const FINISH_TIMEOUT: Duration = Duration::from_secs(4);
/// The signal to stop is repeated: the server misses one that comes while it takes a connection.
const STOP_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stopping` is cancelled and open requests are finished.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    router: Router,
    stopping: CancellationToken,
) -> std::io::Result<()> {
    let handle = Handle::new();
    let server = run(listener, tls, router, handle.clone());
    let stop = async {
        stopping.cancelled().await;
        loop {
            handle.graceful_shutdown(Some(FINISH_TIMEOUT));
            tokio::time::sleep(STOP_PAUSE).await;
        }
    };
    tokio::select! {
        outcome = server => outcome,
        () = stop => Ok(()),
    }
}

async fn run(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    router: Router,
    handle: Handle<SocketAddr>,
) -> std::io::Result<()> {
    let service = router.into_make_service();
    match tls {
        Some(config) => {
            let config = RustlsConfig::from_config(config);
            patient(axum_server::from_tcp_rustls(listener, config)?)
                .handle(handle)
                .serve(service)
                .await
        }
        None => {
            patient(axum_server::from_tcp(listener)?)
                .handle(handle)
                .serve(service)
                .await
        }
    }
}

/// Gives a client some seconds for a request's head, and no more.
fn patient<A>(mut server: Server<SocketAddr, A>) -> Server<SocketAddr, A> {
    let mut builder = server.http_builder().http1();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT);
    server
}
