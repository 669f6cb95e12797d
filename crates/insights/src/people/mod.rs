//! What the history says of many people at once, for lists of them: how long their servers ran lately,
//! and which accounts and groups came last.
//!
//! Questions with figures are reports; what one person used is the business of [`crate::me`].

use crate::ask::Asker;
use jiff::Timestamp;
use jiff::civil::Date;
use model::names::UserName;
use serde_json::Value as Json;
use std::collections::HashMap;
use store::Value;

/// An account or a group, and since when the hub has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newcomer {
    /// Its name.
    pub name: String,
    /// When the hub was first seen with it; `None` if it was there when the history began.
    pub since: Option<Timestamp>,
}

/// Server hours of each person on these closed days, both included; nobody without any.
pub async fn hours(
    asker: &Asker,
    hub: &str,
    from: Date,
    to: Date,
) -> anyhow::Result<HashMap<UserName, f64>> {
    const QUERY: &str = "select \"user\", sum(hours) as hours from user_days where hub = $hub \
                         and \"day\" >= $from and \"day\" <= $to group by \"user\"";
    let params = [
        ("hub", Value::Text(hub.to_owned())),
        ("from", Value::Day(from)),
        ("to", Value::Day(to)),
    ];
    let mut all = HashMap::new();
    let add = |row: Json| {
        if let (Some(user), Some(hours)) = (row["user"].as_str(), row["hours"].as_f64()) {
            all.insert(user.into(), hours);
        }
        Ok(())
    };
    asker.each(QUERY, &params, add).await?;
    Ok(all)
}

/// Accounts that came after this moment, the newest first: those that were not there when the hub was
/// looked at before.
pub async fn newest_accounts(
    asker: &Asker,
    hub: &str,
    after: Timestamp,
) -> anyhow::Result<Vec<Newcomer>> {
    const QUERY: &str = "select \"user\" as name, max(\"at\") as since from events where hub = $hub \
                         and kind = 'user-added' and source = 'poll' and not_before is not null \
                         and \"at\" >= $after group by \"user\" order by since desc, name limit 200";
    let params = [
        ("hub", Value::Text(hub.to_owned())),
        ("after", Value::Time(after)),
    ];
    newcomers(asker, QUERY, &params).await
}

/// Groups, the newest first, by the moment at which their first member was seen. One that the
/// configuration hid before is not new when it is shown.
pub async fn newest_groups(asker: &Asker, hub: &str) -> anyhow::Result<Vec<Newcomer>> {
    const QUERY: &str = "select name, case when came = seen then seen end as since from ( \
                         select \"group\" as name, min(\"at\") as seen, \
                         min(case when not_before is not null then \"at\" end) as came \
                         from memberships where hub = $hub group by \"group\") as firsts \
                         order by since desc nulls last, name limit 200";
    newcomers(asker, QUERY, &[("hub", Value::Text(hub.to_owned()))]).await
}

async fn newcomers(
    asker: &Asker,
    query: &str,
    params: &[(&str, Value)],
) -> anyhow::Result<Vec<Newcomer>> {
    let mut all = Vec::new();
    let add = |row: Json| {
        if let Some(name) = row["name"].as_str() {
            all.push(Newcomer {
                name: name.to_owned(),
                since: row["since"].as_str().and_then(|at| at.parse().ok()),
            });
        }
        Ok(())
    };
    asker.each(query, params, add).await?;
    Ok(all)
}
