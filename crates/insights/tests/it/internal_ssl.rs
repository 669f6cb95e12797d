//! Hubs whose parts speak TLS to each other, and a hub behind https with an authority of its own.

use crate::support::{
    HubOptions, METRICS_TOKEN, RealHub, Service, SimServer, free_port, scrape, until,
};
use crate::web_installations::{People, open_to, people_log_in};
use axum_server::tls_rustls::RustlsConfig;
use insights::sim::DEMO_TOKEN;
use serde_json::json;

pub(crate) const TESTS: &[crate::Test] = &[
    ("a_managed_service_works_on_a_hub_with_internal_ssl", || {
        internal_ssl(Scheme::Http);
    }),
    (
        "a_managed_service_serves_https_on_a_hub_with_internal_ssl",
        || internal_ssl(Scheme::Https),
    ),
    (
        "a_hub_behind_https_needs_the_authority_of_its_certificate",
        own_authority,
    ),
];

/// How the proxy speaks to the service.
#[derive(Clone, Copy)]
enum Scheme {
    Http,
    Https,
}

fn internal_ssl(scheme: Scheme) {
    let people = json!({
        "users": ["ana"], "groups": {"physics": {"users": ["bo"]}}, "admins": ["boss"],
    });
    let mut options = HubOptions::new("6.1", people);
    options.variables.extend(open_to("ana"));
    options.variables.push(("INTERNAL_SSL", "1".to_owned()));
    if let Scheme::Https = scheme {
        options
            .variables
            .push(("SERVICE_URL", format!("https://127.0.0.1:{}", free_port())));
        // Hub 6.1.1 cannot start with an https service by itself: it opens its own connection
        // to the service with a context that is made for servers.
        options.variables.push(("FIX_SERVICE_TLS", "1".to_owned()));
    }
    let hub = RealHub::start(options);
    until("memberships over TLS", || {
        let seen = scrape(&hub.service_url("metrics"), Some(METRICS_TOKEN));
        (seen.memberships() == ["ana@none", "bo@physics", "boss@none"]).then_some(())
    })
    .unwrap_or_else(|| panic!("no memberships:\n{}", hub.log()));
    let scheme = match scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
    };
    assert!(
        hub.log()
            .contains(&format!("Listening on {scheme}://127.0.0.1")),
        "{}",
        hub.log()
    );
    assert!(
        hub.log().contains("Reading the hub at https://127.0.0.1"),
        "{}",
        hub.log()
    );
    let people = People {
        user: "ana",
        stranger: "bo",
        admin: "boss",
    };
    people_log_in(&hub, people);
}

fn own_authority() {
    let folder = tempfile::tempdir().unwrap();
    let certified =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()])
            .unwrap();
    let authority = folder.path().join("ca.pem");
    std::fs::write(&authority, certified.cert.pem()).unwrap();

    let sim = SimServer::start(|world| {
        world.add_user("ana");
    });
    let router = sim.hub.router();
    let (certificate, key) = (certified.cert.pem(), certified.signing_key.serialize_pem());
    let address = crate::support::block_on(async move {
        let tls = RustlsConfig::from_pem(certificate.into(), key.into())
            .await
            .unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let server = axum_server::from_tcp_rustls(listener, tls).unwrap();
        tokio::spawn(server.serve(router.into_make_service()));
        address
    });
    let url = format!("https://{address}/");

    let trusting = format!("hub.ca_file={}", authority.display());
    let service = Service::start(&url, DEMO_TOKEN, &["--set", &trusting]);
    service.until("a user", |scrape| scrape.memberships() == ["ana@none"]);

    let service = Service::start(&url, DEMO_TOKEN, &[]);
    let seen = service.until("an error", |scrape| {
        scrape.value(
            "jupyterhub_insights_errors_total",
            &["data=\"groups\"", "kind=\"unreachable\""],
        ) >= Some(1.0)
    });
    assert_eq!(seen.value("jupyterhub_insights_hub_up", &[]), Some(0.0));
    assert!(seen.memberships().is_empty());
    let log = service.process.output();
    assert!(log.contains("`hub.ca_file` names the authority"), "{log}");
}
