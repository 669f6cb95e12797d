//! *Machines*: what servers run on, how much of it is promised and how much is used. Made to be learned
//! from: each measure says in a sentence what it means.

use super::asked::{AskedPeriod, Hubs};
use super::frame::{Frame, html};
use super::message;
use super::part::Look;
use super::shells::{PartSpec, no_history, part, part_box};
use super::view::{
    Address, Badge, Bar, Cell, Head, MachineBox, MachinesPage, Measure, Table, Tone, Width,
};
use crate::chart::Unit;
use crate::chart::number::SPACE;
use crate::sources::machines::{MachineNow, MachineState, Pressure, Room, Scarce, Strain};
use crate::web::Site;
use crate::web::visitor::Visitor;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use model::usage::Account;

static PARTS: &[PartSpec] = &[
    part(
        "shortages",
        "When something was short",
        Look::Table,
        Width::Whole,
    ),
    part("right-sizing", "Right sizes", Look::Table, Width::Whole),
    part("idle-gpus", "Idle GPUs", Look::Table, Width::Whole),
    part(
        "placeholders",
        "Places kept free",
        Look::Chart,
        Width::Whole,
    ),
];

/// `GET machines`
pub(in crate::web) async fn show(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
    RawQuery(query): RawQuery,
) -> Response {
    let frame = Frame {
        site: &site,
        visitor: Some(&visitor),
        path: "machines",
    };
    let query = query.unwrap_or_default();
    let asked = match AskedPeriod::of(&site, &visitor, &query, Hubs::All).await {
        Ok(asked) => asked,
        Err(error) => return message::unanswered(&site, &visitor, &error),
    };
    let parts = PARTS
        .iter()
        .map(|part| part_box(part, &asked, &site.config.web.prefix));
    let has_history = site.answers.is_some();
    let page = MachinesPage {
        layout: frame.layout(
            "Machines",
            "What servers run on: what there is, what is promised, what is used.",
        ),
        notices: if has_history {
            Vec::new()
        } else {
            vec![no_history()]
        },
        machines: boxes(&site),
        nothing:
            "No machine is known yet: set `prometheus.url` where servers are pods, or run the \
                  service on the machine that the servers run on."
                .to_owned(),
        parts: if has_history {
            parts.collect()
        } else {
            Vec::new()
        },
    };
    html(StatusCode::OK, &page)
}

fn boxes(site: &Site) -> Vec<MachineBox> {
    let prefix = &site.config.web.prefix;
    let Some(seen) = site.usage.machines() else {
        return Vec::new();
    };
    let boxes = seen
        .value
        .iter()
        .map(|machine| of_machine(machine, seen.at, prefix));
    boxes.collect()
}

fn of_machine(machine: &MachineNow, at: Timestamp, prefix: &str) -> MachineBox {
    let mut measures = vec![
        measure("CPU", &machine.cpu_cores, &Unit::Cores),
        measure("Memory", &machine.memory_bytes, &Unit::Bytes),
    ];
    if machine.gpus.capacity.is_some_and(|gpus| gpus > 0.0) {
        measures.push(measure("GPUs", &machine.gpus, &Unit::Count));
    }
    let pool = machine.pool.as_ref().map(|pool| format!("pool {pool}"));
    let load = machine
        .load_average
        .map(|load| format!("load {}", Unit::None.format(load)));
    let others = machine
        .n_other_pods
        .map(|n| format!("{n} other pods: the hub's own, places kept free, or of nobody known"));
    let kind: Vec<String> = [pool, load, others].into_iter().flatten().collect();
    MachineBox {
        name: machine.name.clone(),
        kind: kind.join(" · "),
        badges: badges(machine),
        measures,
        servers: Some(servers(&machine.servers, prefix)),
        at: Some(at),
    }
}

fn badges(machine: &MachineNow) -> Vec<Badge> {
    let state = machine.state.map(|state| match state {
        MachineState::Ready => Badge::new(Tone::Good, "takes servers"),
        MachineState::Cordoned => Badge::new(Tone::Warning, "takes no more servers"),
        MachineState::NotReady => Badge::new(Tone::Bad, "does not work"),
    });
    let short = machine.pressures.iter().filter_map(pressure);
    state.into_iter().chain(short).collect()
}

/// Share of the time in which something waited, from which on it is worth a word.
const WAITING: f64 = 0.1;

fn pressure(pressure: &Pressure) -> Option<Badge> {
    let of = match pressure.of {
        Scarce::Cpu => "processors",
        Scarce::Memory => "memory",
        Scarce::Disk => "disk",
        Scarce::Processes => "process numbers",
    };
    match pressure.strain {
        Strain::Declared(true) => Some(Badge::new(Tone::Bad, format!("short of {of}"))),
        Strain::Waited(share) if share >= WAITING => {
            let percent = Unit::Percent.format(share * 100.0);
            Some(Badge::new(
                Tone::Warning,
                format!("waits for {of} {percent} of the time"),
            ))
        }
        Strain::Declared(false) | Strain::Waited(_) => None,
    }
}

fn measure(name: &str, room: &Room, unit: &Unit) -> Measure {
    let text = |value: Option<f64>| value.map(|value| unit.format(value)).unwrap_or_default();
    let whole = room
        .allocatable
        .or(room.capacity)
        .filter(|whole| *whole > 0.0);
    let share = |value: Option<f64>| value.zip(whole).map(|(value, whole)| value / whole);
    let (used, promised) = (share(room.used), share(room.requested));
    Measure {
        name: name.to_owned(),
        used: room.used.map_or("–".to_owned(), |used| unit.format(used)),
        requested: text(room.requested),
        capacity: text(room.capacity),
        bar: used.or(promised).map(|share| Bar {
            promised,
            ..Bar::of_limit(share)
        }),
        meaning: meaning(used, promised),
    }
}

/// What parts of a machine mean for whoever looks after it.
fn meaning(used: Option<f64>, promised: Option<f64>) -> String {
    let percent = |share: f64| format!("{:.0}{SPACE}%", share * 100.0);
    match (used, promised) {
        (None, None) => "Nothing is known of it.".to_owned(),
        (Some(used), None) => format!("{} of it is used.", percent(used)),
        (None, Some(promised)) => format!(
            "{} of it is promised to servers; what they use is not measured.",
            percent(promised)
        ),
        (Some(used), Some(promised)) if promised > 0.9 && used < 0.5 => format!(
            "{} is promised and {} used: it takes hardly another server, although there is room. Ask \
             for less at the start of servers.",
            percent(promised),
            percent(used)
        ),
        (Some(used), Some(promised)) if used > promised + 0.1 => format!(
            "{} is promised and {} used: servers take more than they ask for, so a new one may find \
             too little.",
            percent(promised),
            percent(used)
        ),
        (Some(used), Some(promised)) => {
            format!(
                "{} is promised, {} is used.",
                percent(promised),
                percent(used)
            )
        }
    }
}

fn servers(accounts: &[Account], prefix: &str) -> Table {
    let rows = accounts.iter().map(|account| {
        let page = Address::below(prefix, "users/one").with("name", account.user.as_str());
        let server = match account.server.as_deref() {
            Some("") => "(default)",
            Some(name) => name,
            None => "–",
        };
        vec![
            Cell::text(account.user.as_str()).leading_to(page),
            Cell::text(server),
        ]
    });
    Table {
        caption: "Servers here".to_owned(),
        heads: vec![Head::name("User"), Head::text("Server")],
        rows: rows.collect(),
        more_rows: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measure_says_what_it_means() {
        let told = |used, promised| meaning(used, promised);
        assert!(told(Some(0.3), Some(0.75)).contains("is promised, 30"));
        assert!(told(Some(0.3), Some(0.95)).contains("takes hardly another server"));
        assert!(told(Some(0.9), Some(0.5)).contains("more than they ask for"));
        assert_eq!(told(None, None), "Nothing is known of it.");
    }
}
