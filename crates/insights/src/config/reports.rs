//! Settings about reports: who does not count, and what the site adds.

use super::Config;
use model::attribution::{Attribution, ExtraMultipleRow};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use store::report::{LeftOutAccounts, Network, Site};

/// Figures with their definitions.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReportsConfig {
    /// Accounts that count in no report: staff, services, tests. `*` stands for any text.
    pub leave_out_users: Vec<String>,
    /// Groups whose members count in no report: whoever was in one of them at some moment of the
    /// period that is asked, with all they did.
    pub leave_out_groups: Vec<String>,
    /// Folder with further reports, one `.sql` file each, written as those in `docs/reports.md`. They
    /// only read. One that does not run is named in the log and left out.
    pub folder: Option<PathBuf>,
    /// Ranges of addresses that logins are counted by, each as `name=range`, for instance
    /// `campus=10.0.0.0/8`. Nothing is looked up outside.
    pub networks: Vec<String>,
    /// Memory for answers that are kept until their rows change, in MiB, 0 to 4096.
    pub cache_mib: u64,
}

impl Default for ReportsConfig {
    fn default() -> Self {
        Self {
            leave_out_users: Vec::new(),
            leave_out_groups: Vec::new(),
            folder: None,
            networks: Vec::new(),
            cache_mib: 32,
        }
    }
}

impl ReportsConfig {
    /// The ranges; of a text that is none, the text.
    pub fn networks(&self) -> Result<Vec<Network>, String> {
        let all = self.networks.iter().map(|text| {
            let parsed = text.split_once('=');
            let parsed = parsed.and_then(|(name, range)| Network::parse(name.trim(), range.trim()));
            parsed.ok_or_else(|| text.clone())
        });
        all.collect()
    }
}

impl Config {
    /// What the site decided for all reports.
    pub fn report_site(&self) -> Site {
        Site {
            left_out: LeftOutAccounts {
                users: self.reports.leave_out_users.clone(),
                groups: self.reports.leave_out_groups.clone(),
            },
            groups: Attribution {
                extra_row: ExtraMultipleRow::Omit,
                ..self.attribution()
            },
            // Checked when the configuration was loaded.
            networks: self.reports.networks().unwrap_or_default(),
        }
    }
}
