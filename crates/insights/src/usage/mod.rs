//! What users' servers use: looked at every now and then, shown to Prometheus, written down by the
//! hour.
//!
//! Where it is read is the business of [`crate::sources`], the families that show it of
//! [`crate::metrics`]. From a Prometheus an hour is computed when it has closed, by the same function
//! that fills in the past; only a source that cannot be asked about the past is summed up here.

mod catch_up;
mod hours;
mod keeping;
mod meter;
pub mod rows;
mod watch;

pub use hours::{ClosedHour, OpenHours};
pub use keeping::{Condition, Failure, Usage};
pub use meter::{Metered, Meters};
pub use watch::Watch;

use crate::config::{Config, UsageSourceConfig};
use crate::sim::usage::SimUsage;
use crate::sources::local::Local;
use crate::sources::prometheus::{Prometheus, PrometheusError};
use crate::sources::{Known, Look, SourceError};
use jiff::SignedDuration;

/// Where usage is read.
pub enum Source {
    /// A server that speaks Prometheus' API.
    Prometheus(Box<Prometheus>),
    /// This machine's kernel.
    Local(Box<Local>),
    /// The demo's world.
    Simulated(Box<SimUsage>),
}

impl Source {
    /// What the configuration says; none if there is nowhere to read it.
    ///
    /// `hub_process` is the hub, where it has started this service.
    pub fn of(config: &Config, hub_process: Option<u32>) -> Result<Option<Self>, PrometheusError> {
        let (usage, local) = (&config.usage, &config.local);
        let has_prometheus = config.prometheus.url.is_some();
        let source = match usage.source {
            UsageSourceConfig::Auto if has_prometheus => UsageSourceConfig::Prometheus,
            UsageSourceConfig::Auto if hub_process.is_some() => UsageSourceConfig::Local,
            UsageSourceConfig::Auto => UsageSourceConfig::None,
            given => given,
        };
        Ok(match source {
            UsageSourceConfig::Prometheus => {
                let namespace = config.namespace_of_pods();
                let prometheus = Prometheus::new(&config.prometheus, usage, &namespace)?;
                Some(Self::Prometheus(Box::new(prometheus)))
            }
            UsageSourceConfig::Local => {
                let local = Local::new(local, usage, hub_process);
                Some(Self::Local(Box::new(local)))
            }
            UsageSourceConfig::Auto | UsageSourceConfig::None => None,
        })
    }

    /// What is used now.
    async fn look(&mut self, known: &Known) -> Result<Look, SourceError> {
        match self {
            Self::Prometheus(prometheus) => Ok(prometheus.look(known).await?),
            Self::Local(local) => Ok(local.look(known).await?),
            Self::Simulated(simulated) => Ok(simulated.look(known).await),
        }
    }

    /// How long it tells of memory that a server had which is gone: series without new samples are
    /// taken for what is, for five minutes.
    fn lingers(&self) -> SignedDuration {
        match self {
            Self::Prometheus(_) => SignedDuration::from_mins(6),
            Self::Local(_) | Self::Simulated(_) => SignedDuration::ZERO,
        }
    }

    /// The name that metrics and health give it.
    fn name(&self) -> &'static str {
        match self {
            Self::Prometheus(_) => "prometheus",
            Self::Local(_) => "local",
            Self::Simulated(_) => "simulated",
        }
    }
}
