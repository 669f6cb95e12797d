//! What one question adds to the tables and views that every query sees: views of its own, small
//! tables in memory, and functions that know its calendar.
//!
//! Who asks, and what the parts mean, does not belong here.

use datafusion::catalog::TableProvider;
use datafusion::logical_expr::ScalarUDF;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Names that only one question knows. Text of views is written by this program, never by a reader.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    /// Tables in memory.
    pub(crate) tables: BTreeMap<&'static str, Arc<dyn TableProvider>>,
    /// Text of views; it may use the question's `$parameters`.
    pub(crate) views: BTreeMap<&'static str, String>,
    /// Functions beside those of the list.
    pub(crate) functions: Vec<Arc<ScalarUDF>>,
}

impl Scope {
    pub(super) fn has(&self, name: &str) -> bool {
        self.tables.contains_key(name) || self.views.contains_key(name)
    }

    /// Tables in memory that views alone read are not told.
    pub(super) fn view_names(&self) -> impl Iterator<Item = &str> {
        let views = self.views.keys().copied();
        views.filter(|name| name.starts_with("period_"))
    }

    pub(super) fn function_names(&self) -> Vec<&str> {
        self.functions
            .iter()
            .map(|function| function.name())
            .collect()
    }
}
