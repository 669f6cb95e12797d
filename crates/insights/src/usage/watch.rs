//! The task that looks: shows what it saw, and writes it down.

use super::Source;
use super::catch_up::{CatchUp, Then};
use super::hours::OpenHours;
use super::keeping::{Failure, Usage};
use super::rows::{storage_row, unattributed_numbers, usage_row};
use crate::collect::observation;
use crate::config::{Config, SpawnerConfig, UsageSourceConfig};
use crate::hub::HubClient;
use crate::metrics::Published;
use crate::poll::clock::now;
use crate::sources::prometheus::HourUse;
use crate::sources::{Homes, Known, Look, Note, SourceError};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use model::days::Day;
use std::sync::Arc;
use std::time::Duration;
use store::tables::usage::{METERS, OPEN_HOURS};
use store::{Intake, Position, StoreError};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{debug, info, warn};

/// Under which name it is kept until when they are summed up.
const SUMMED_UNTIL: &str = "usage: summed until";
/// Parts of the class names of spawners that start servers on other machines, in lower case.
const ELSEWHERE: [&str; 9] = [
    "kube", "swarm", "batch", "slurm", "torque", "yarn", "marathon", "ecs", "fargate",
];
/// Ceilings are written at most so often.
const NUMBERS_EVERY: SignedDuration = SignedDuration::from_secs(55);
/// Before a hub is asked again that did not say which spawner it has.
const SPAWNER_AGAIN_AFTER: Duration = Duration::from_mins(10);

/// Looks at what is used for as long as the service runs.
pub struct Watch {
    source: Source,
    hub: HubClient,
    published: Arc<Published>,
    usage: Arc<Usage>,
    hub_name: Arc<str>,
    zone: TimeZone,
    interval: Duration,
    open_hours: OpenHours,
    /// Of which keeper the open hours are.
    restored_of: Option<u64>,
    /// Whether servers may be somewhere else than on this machine.
    is_anywhere: bool,
    catch_up: CatchUp,
    /// Homes that were seen and are not written down yet: they are seen seldom.
    homes: Option<Homes>,
    numbers_kept: Option<Timestamp>,
    spawner: Option<Arc<str>>,
    spawner_asked: Option<Instant>,
    told: Told,
}

/// Troubles that the log knows about.
#[derive(Default)]
struct Told {
    look: bool,
    store: bool,
    hours: bool,
}

impl Watch {
    /// Nothing was looked at yet.
    pub fn new(
        config: &Config,
        source: Source,
        hub: HubClient,
        published: Arc<Published>,
        usage: Arc<Usage>,
    ) -> Self {
        usage.expect(source.name());
        usage.meters().begin(source.lingers());
        let zone = config.hub.time_zone();
        Self {
            source,
            hub,
            published,
            usage,
            hub_name: config.hub.name.as_str().into(),
            catch_up: CatchUp::new(&config.hub.name, zone.clone()),
            zone,
            interval: config.usage.interval(),
            open_hours: OpenHours::default(),
            restored_of: None,
            is_anywhere: config.usage.source == UsageSourceConfig::Auto
                && config.local.spawner == SpawnerConfig::Auto,
            homes: None,
            numbers_kept: None,
            spawner: None,
            spawner_asked: None,
            told: Told::default(),
        }
    }

    /// Looks, for ever.
    pub async fn run(mut self) {
        let mut ticks = interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let due = Instant::now() + self.interval;
            let known = self.known().await;
            if self.is_elsewhere(&known) {
                self.usage.absent(vec![elsewhere()]);
                continue;
            }
            self.look(&known).await;
            // Once at least, however long the look took.
            while self.catch_up(&known).await == Then::More && Instant::now() < due {}
        }
    }

    /// Whom to look for.
    async fn known(&mut self) -> Known {
        let is_asked = self
            .spawner_asked
            .is_some_and(|asked| asked.elapsed() < SPAWNER_AGAIN_AFTER);
        if self.spawner.is_none() && !is_asked {
            self.spawner_asked = Some(Instant::now());
            match self.hub.info().await {
                Ok(info) => self.spawner = Some(info.spawner.class.into()),
                Err(error) => debug!("The hub does not say which spawner it has: {error}."),
            }
        }
        let users = self.published.snapshot().users;
        Known {
            users: users.map(|users| users.value),
            spawner: self.spawner.clone(),
        }
    }

    /// Whether the hub's spawner starts servers on other machines, of which this one knows nothing.
    fn is_elsewhere(&self, known: &Known) -> bool {
        let class = known.spawner.as_deref().unwrap_or_default().to_lowercase();
        let is_local = matches!(self.source, Source::Local(_));
        is_local && self.is_anywhere && ELSEWHERE.iter().any(|name| class.contains(name))
    }

    async fn look(&mut self, known: &Known) {
        let started = Instant::now();
        let look = match self.source.look(known).await {
            Ok(look) => look,
            Err(error) => return self.failed(error, started.elapsed()),
        };
        let duration = started.elapsed();
        if std::mem::replace(&mut self.told.look, false) {
            info!("What servers use is known again.");
        }
        self.meter(&look);
        let look = Arc::new(look);
        self.show(Arc::clone(&look)).await;
        // Only now, since the age is that of what is shown.
        self.usage.complete(look.at, duration, look.notes.clone());
        let outcome = self.keep(&look).await;
        self.tell(outcome);
    }

    fn failed(&mut self, error: SourceError, duration: Duration) {
        let failure = Failure::of(&error);
        self.usage.failed(failure, duration);
        if !std::mem::replace(&mut self.told.look, true) {
            let remedy = failure.remedy;
            let cause = anyhow::Error::from(error);
            warn!("What servers use is not known; trying again: {cause:#} ({remedy}).");
        }
    }

    fn tell(&mut self, outcome: Result<(), StoreError>) {
        match outcome {
            Ok(()) if self.told.store => {
                self.told.store = false;
                info!("What servers use is written down again.");
            }
            Ok(()) => {}
            Err(error) => {
                if !std::mem::replace(&mut self.told.store, true) {
                    let cause = anyhow::Error::from(error);
                    warn!("What servers use is not written down; trying again: {cause:#}");
                }
            }
        }
    }

    /// Before it is shown: whoever sees that a session has ended wants to know what it used.
    fn meter(&self, look: &Look) {
        let servers = self.published.snapshot().servers;
        let servers = servers.as_ref().map(|servers| &*servers.value);
        self.usage.meters().take(look, servers);
        if let Some(homes) = &look.homes {
            self.usage.saw_homes(homes);
        }
        self.usage.saw_machines(&look.machines, look.at);
    }

    /// Writes the metrics on a thread where that may take its time.
    async fn show(&self, look: Arc<Look>) {
        let published = Arc::clone(&self.published);
        let written = tokio::task::spawn_blocking(move || published.publish_usage(&look)).await;
        if let Err(error) = written
            && error.is_panic()
        {
            // Goes on as our own panic: counted and restarted.
            std::panic::resume_unwind(error.into_panic());
        }
    }

    /// Writes down what was seen, if this process keeps the history.
    async fn keep(&mut self, look: &Look) -> Result<(), StoreError> {
        if look.homes.is_some() {
            self.homes.clone_from(&look.homes);
        }
        let Some(keeper) = self.usage.keeper() else {
            // Whoever keeps it writes it down.
            return Ok(());
        };
        let generation = self.usage.generation();
        if self.restored_of != Some(generation) {
            self.open_hours.clear();
            let until = keeper.position(SUMMED_UNTIL).await?;
            let until = until.and_then(|until| until.parse().ok());
            if let Some(kept) = keeper.position(OPEN_HOURS).await? {
                self.open_hours.restore(&kept, until);
            }
            if let Some(kept) = keeper.position(METERS).await? {
                self.usage.meters().restore(&kept);
            }
            self.restored_of = Some(generation);
        }
        for increment in &look.increments {
            self.open_hours.add(increment, &self.zone);
        }
        let mut intake = Intake::default();
        let still_open = self.close_hours(look, &mut intake)?;
        self.write_homes(&mut intake)?;
        let are_numbers_due = self
            .numbers_kept
            .is_none_or(|kept| look.at.duration_since(kept).abs() >= NUMBERS_EVERY);
        if are_numbers_due {
            self.numbers(look, &mut intake)?;
        }
        let meters = self.usage.meters().to_keep(look.at);
        for position in meters.iter().flat_map(|meters| &meters.positions) {
            intake.position(position.clone());
        }
        keeper.take(intake).await?;
        if let Some(meters) = meters {
            self.usage.meters().kept(&meters);
        }
        self.homes = None;
        if let Some(still_open) = still_open {
            self.open_hours = still_open;
        }
        if are_numbers_due {
            self.numbers_kept = Some(look.at);
        }
        Ok(())
    }

    /// Adds the hours that are over; gives those that are not, to go on with once it is written.
    fn close_hours(
        &self,
        look: &Look,
        intake: &mut Intake,
    ) -> Result<Option<OpenHours>, StoreError> {
        if matches!(self.source, Source::Prometheus(_)) {
            return Ok(None);
        }
        let mut open = self.open_hours.clone();
        for closed in open.close(look.at, &self.zone) {
            for (account, totals) in closed.used {
                let used = HourUse {
                    hour: closed.hour,
                    account,
                    totals,
                };
                let row = usage_row(&self.hub_name, &used);
                intake.row(&row, Some(&row.user))?;
            }
        }
        intake.position(Position {
            source: OPEN_HOURS.to_owned(),
            value: open.kept(),
        });
        intake.position(Position {
            source: SUMMED_UNTIL.to_owned(),
            value: look.at.to_string(),
        });
        Ok(Some(open))
    }

    /// Of a Prometheus the homes of closed days are asked for when they are closed.
    fn write_homes(&self, intake: &mut Intake) -> Result<(), StoreError> {
        let Some(homes) = &self.homes else {
            return Ok(());
        };
        if matches!(self.source, Source::Prometheus(_)) {
            return Ok(());
        }
        let day = Day::of(homes.at, &self.zone).date();
        for home in &homes.sizes {
            let row = storage_row(&self.hub_name, day, home, homes.at);
            intake.row(&row, Some(&row.user))?;
        }
        Ok(())
    }

    fn numbers(&self, look: &Look, intake: &mut Intake) -> Result<(), StoreError> {
        let unattributed = unattributed_numbers(&look.unattributed);
        for number in look.numbers.iter().chain(&unattributed) {
            let row = observation(&self.hub_name, number, look.at);
            intake.row(&row, None)?;
        }
        Ok(())
    }

    /// Writes hours that closed; those that cannot be asked for now are asked for later.
    async fn catch_up(&mut self, known: &Known) -> Then {
        let (Source::Prometheus(prometheus), Some(keeper)) = (&self.source, self.usage.keeper())
        else {
            self.usage.hours_are(None);
            return Then::Wait;
        };
        match self.catch_up.step(prometheus, &keeper, known, now()).await {
            Ok(then) => {
                self.usage.hours_are(None);
                self.told.hours = false;
                then
            }
            Err(error) => {
                self.usage.hours_are(Some(error.failure()));
                if !std::mem::replace(&mut self.told.hours, true) {
                    let cause = anyhow::Error::from(error);
                    warn!("Closed hours of usage cannot be written; trying again: {cause:#}");
                }
                Then::Wait
            }
        }
    }
}

fn elsewhere() -> Note {
    Note {
        about: "source",
        text: "the hub's spawner starts servers on other machines, so that nothing is read on this one: \
               set `prometheus.url`"
            .to_owned(),
    }
}
