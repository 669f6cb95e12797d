//! Logs a failure once with its remedy, and its end, however long it lasts.

use crate::hub::{ErrorKind, HubError};
use crate::metrics::own::Data;
use std::collections::BTreeMap;
use tracing::{info, warn};

/// What the log has been told.
#[derive(Debug, Default)]
pub(super) struct Journal {
    failing: BTreeMap<Data, Failing>,
}

#[derive(Debug)]
struct Failing {
    kind: ErrorKind,
    n_times: u64,
}

impl Journal {
    /// A read failed; the log hears of it if it failed otherwise before.
    pub(super) fn failed(&mut self, data: Data, error: &HubError) {
        let kind = error.kind();
        let known = self.failing.get_mut(&data);
        let is_known = known.is_some_and(|failing| {
            failing.n_times += 1;
            failing.kind == kind
        });
        if is_known {
            return;
        }
        self.failing.insert(data, Failing { kind, n_times: 1 });
        let data = data.as_str();
        let cause = error.with_causes();
        warn!(
            data,
            error.kind = kind.as_str(),
            "Could not read the hub's {data}, what was known stays: {cause}. Remedy: {}.",
            error.remedy()
        );
    }

    /// A read was complete; the log hears of it if the last one was not.
    pub(super) fn complete(&mut self, data: Data) {
        if let Some(failing) = self.failing.remove(&data) {
            let (data, n_times) = (data.as_str(), failing.n_times);
            info!(
                data,
                n_times, "Read the hub's {data} again after {n_times} failures."
            );
        }
    }
}
