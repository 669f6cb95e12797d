//! Binds a port, or says who holds it.
//!
//! A hub that was killed leaves its service running for some seconds; the next hub's service
//! waits for that one, and for nobody else.

use super::Starter;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::path::Path;
use std::time::{Duration, Instant};
use tracing::{debug, info};

/// How long a process of our own kind is waited for; it ends itself within five seconds.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(200);

/// Why a port could not be had.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum PortError {
    #[error("`{address}` (`{key}`) is held by {holder}; stop it, or choose another port")]
    Held {
        key: &'static str,
        address: String,
        holder: Holder,
    },
    #[error("the hub that started this service is gone; not waiting for `{address}` (`{key}`)")]
    Abandoned { key: &'static str, address: String },
    #[error("could not listen on `{address}` (`{key}`)")]
    Refused {
        key: &'static str,
        address: String,
        #[source]
        source: io::Error,
    },
}

/// Who holds a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A process that we may look at.
    Process {
        /// Its id.
        pid: u32,
        /// Its program.
        name: String,
    },
    /// A process of another user or another machine's network namespace.
    Unknown,
}

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { pid, name } => write!(formatter, "process {pid} (`{name}`)"),
            Self::Unknown => write!(formatter, "a process that we may not look at"),
        }
    }
}

/// Binds `address`, which the configuration key `key` says.
///
/// Blocks for up to ten seconds while another process of this program holds the port, unless
/// whoever started us is gone by then.
pub fn bind(key: &'static str, address: &str, starter: Starter) -> Result<TcpListener, PortError> {
    let refused = |source| PortError::Refused {
        key,
        address: address.to_owned(),
        source,
    };
    let addresses: Vec<SocketAddr> = address.to_socket_addrs().map_err(refused)?.collect();
    let begin = Instant::now();
    let mut is_told = false;
    loop {
        let source = match TcpListener::bind(addresses.as_slice()) {
            Ok(listener) => {
                listener.set_nonblocking(true).map_err(refused)?;
                return Ok(listener);
            }
            Err(source) if source.kind() == ErrorKind::AddrInUse => source,
            Err(source) => return Err(refused(source)),
        };
        let holder = addresses.iter().find_map(|address| holder_of(*address));
        // Gone between the two questions: try again.
        let is_free = holder.is_none() && begin.elapsed() < PAUSE * 5;
        let is_ours = holder.as_ref().is_some_and(is_our_kind);
        if !(is_free || is_ours && begin.elapsed() < PATIENCE) {
            debug!(%source, "The port is taken.");
            let holder = holder.unwrap_or(Holder::Unknown);
            return Err(PortError::Held {
                key,
                address: address.to_owned(),
                holder,
            });
        }
        if starter.is_gone() {
            return Err(PortError::Abandoned {
                key,
                address: address.to_owned(),
            });
        }
        if let (Some(holder), false) = (&holder, is_told) {
            info!("Waiting for {holder} to leave `{address}`.");
            is_told = true;
        }
        std::thread::sleep(PAUSE);
    }
}

/// Who listens on the address, or on all addresses with its port.
fn holder_of(address: SocketAddr) -> Option<Holder> {
    let sockets = listeners::get_all().ok()?;
    let mut listening = sockets.into_iter().filter(|listener| {
        let other = listener.socket;
        let overlaps = other.ip() == address.ip()
            || other.ip().is_unspecified()
            || address.ip().is_unspecified();
        overlaps
            && other.port() == address.port()
            && listener.state == listeners::SocketState::Listen
    });
    let process = listening.next()?.process;
    let file = Path::new(&process.path)
        .file_name()
        .and_then(|file| file.to_str());
    let name = file.map_or(process.name.clone(), str::to_owned);
    Some(Holder::Process {
        pid: process.pid,
        name,
    })
}

fn is_our_kind(holder: &Holder) -> bool {
    // A program that was replaced while it runs is called `… (deleted)`.
    matches!(holder, Holder::Process { pid, name }
        if *pid != std::process::id() && name.starts_with(env!("CARGO_PKG_NAME")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_held_by_anything_else_gives_an_error_that_names_it() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let message = bind("web.listen", &address, Starter::Other)
            .unwrap_err()
            .to_string();
        let name = std::env::current_exe().unwrap();
        let name = name.file_name().unwrap().to_str().unwrap();
        let pid = std::process::id();
        assert_eq!(
            message,
            format!(
                "`{address}` (`web.listen`) is held by process {pid} (`{name}`); stop it, or \
                 choose another port"
            )
        );
    }

    #[test]
    fn an_address_of_another_machine_is_refused_with_the_reason() {
        let error = bind("metrics.listen", "192.0.2.1:1", Starter::Other).unwrap_err();
        assert!(
            matches!(
                error,
                PortError::Refused {
                    key: "metrics.listen",
                    ..
                }
            ),
            "{error}"
        );
    }
}
