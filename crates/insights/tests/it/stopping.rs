//! How the service ends: not ready, no new connections, open requests finished, within 5 s.

use crate::support::{
    BINARY, NO_HISTORY, Process, READER_TOKEN, Service, SimServer, block_on, free_port, http, until,
};
use insights::sim::DEMO_TOKEN;
use nix::sys::signal::Signal;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

pub(crate) const TESTS: &[crate::Test] = &[
    (
        "sigterm_ends_the_service_within_five_seconds_and_finishes_requests",
        sigterm,
    ),
    ("sigint_ends_the_service_too", sigint),
    ("a_hub_that_hangs_does_not_hold_up_the_end", hanging_hub),
    ("a_port_held_by_anything_else_is_named", held_port),
    (
        "a_service_waits_for_its_predecessor_to_leave_the_port",
        predecessor,
    ),
];

fn sigterm() {
    let sim = SimServer::start(|world| {
        for n in 0..20_000 {
            world.add_user(&format!("user-{n:05}"));
        }
    });
    let mut service = Service::start(&sim.url, DEMO_TOKEN, &[]);
    service.until("all users", |scrape| scrape.memberships().len() == 20_000);

    // A request whose reply is taken slowly, so that it is open when the signal comes.
    let address = service
        .url
        .strip_prefix("http://")
        .unwrap()
        .split('/')
        .next()
        .unwrap();
    let mut slow = TcpStream::connect(address).unwrap();
    let request = format!(
        "GET /services/insights/metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    );
    slow.write_all(request.as_bytes()).unwrap();
    let mut reply = vec![0; 1000];
    slow.read_exact(&mut reply).unwrap();

    let asked = Instant::now();
    service.process.signal(Signal::SIGTERM);
    // Nobody new is let in.
    let refused = until("a refused connection", || {
        TcpStream::connect(address).is_err().then_some(())
    });
    assert!(refused.is_some());
    slow.read_to_end(&mut reply).unwrap();
    let text = String::from_utf8_lossy(&reply);
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .unwrap();
    assert_eq!(
        body.len(),
        length.parse::<usize>().unwrap(),
        "the open request was cut off"
    );

    let status = service.process.wait(Duration::from_secs(10));
    assert!(
        asked.elapsed() < Duration::from_secs(5),
        "{:?}",
        asked.elapsed()
    );
    assert_eq!(status.code(), Some(0), "{}", service.process.output());
    assert!(service.process.output().contains("Stopping: SIGTERM."));
}

fn sigint() {
    let sim = SimServer::start(|_| {});
    let mut service = Service::start(&sim.url, DEMO_TOKEN, &[]);
    service.process.signal(Signal::SIGINT);
    assert_eq!(service.process.wait(Duration::from_secs(5)).code(), Some(0));
}

fn hanging_hub() {
    let sim = SimServer::start(|_| {});
    sim.spoil(std::sync::Arc::new(|_, _| Box::pin(std::future::pending())));
    let mut service = Service::start(&sim.url, DEMO_TOKEN, &[]);
    let live = block_on(http().get(format!("{}health/live", service.url)).send()).unwrap();
    assert_eq!(live.status(), 200);
    let asked = Instant::now();
    service.process.signal(Signal::SIGTERM);
    assert_eq!(
        service.process.wait(Duration::from_secs(10)).code(),
        Some(0)
    );
    assert!(
        asked.elapsed() < Duration::from_secs(5),
        "{:?}",
        asked.elapsed()
    );
}

fn serve_on(port: u16, hub_url: &str, folder: &std::path::Path) -> Process {
    let mut command = Command::new(BINARY);
    command
        .args([
            "serve",
            "--set",
            &format!("metrics.listen=127.0.0.1:{port}"),
        ])
        .args(["--set", &format!("hub.url={hub_url}")])
        .env_clear()
        .envs([NO_HISTORY])
        .env("JUPYTERHUB_API_TOKEN", READER_TOKEN);
    Process::start(&mut command, &folder.join(format!("{}.log", free_port())))
}

fn held_port() {
    let folder = tempfile::tempdir().unwrap();
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let mut process = serve_on(port, "http://127.0.0.1:9/", folder.path());
    assert_eq!(process.wait(Duration::from_secs(10)).code(), Some(1));
    let pid = std::process::id();
    let message = process.output();
    let expected = format!("`127.0.0.1:{port}` (`metrics.listen`) is held by process {pid} (`it-");
    assert!(message.contains(&expected), "{message}");
}

fn predecessor() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let sim = SimServer::start(|_| {});
    let mut first = serve_on(port, &sim.url, folder.path());
    until("the first listens", || {
        TcpStream::connect(("127.0.0.1", port)).ok()
    })
    .unwrap();
    let second = serve_on(port, &sim.url, folder.path());
    until("the second waits", || {
        second
            .output()
            .contains("Waiting for process")
            .then_some(())
    })
    .unwrap();
    first.stop();
    until("the second listens", || {
        second.output().contains("Listening on").then_some(())
    })
    .unwrap();
}
