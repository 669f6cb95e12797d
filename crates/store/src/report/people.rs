//! What the history tells of everybody up to some days ago: remembered, since most of its rows lie
//! there and hardly any of them change. The view `period_people` adds what came later.

use super::asked::ReportError;
use super::run::{Question, RowsBefore};
use super::scope::{Prepared, day_start};
use crate::query::{QueryError, Value};
use crate::table::Table;
use crate::tables::{TableDef, events, sessions};
use jiff::{Timestamp, ToSpan as _};
use std::sync::Arc;

/// Sessions are rows of the time at which they started. Of those that started longer ago few end now,
/// so the rows before stay as they are for a day.
const HOURS_OF_NEWS: i64 = 48;

/// Everybody.
pub(super) const VIEW: &str = "period_people";

/// A row of everybody, up to a moment.
#[derive(Clone)]
pub(super) struct PeopleBefore {
    pub(super) moment: Timestamp,
    /// Of whom a server had started that is over.
    pub(super) ran: Arc<Table>,
    /// Whose account was added or removed.
    pub(super) accounts: Arc<Table>,
}

impl Question<'_> {
    /// Of all hubs and people: other questions ask about others, of the same rows. Nothing, if that are more
    /// people than an answer may have: the view then reads all rows.
    pub(super) async fn people_before(
        &self,
        prepared: &Prepared<'_>,
    ) -> Result<PeopleBefore, ReportError> {
        let news = prepared.now.saturating_sub(HOURS_OF_NEWS.hours());
        let news = day_start(news.unwrap_or(Timestamp::UNIX_EPOCH));
        let moment = news.min(prepared.moment(prepared.last + 1).0);
        match self.people_until(prepared, moment).await {
            Err(ReportError::Query(QueryError::TooLarge { .. })) => {
                self.people_until(prepared, Timestamp::UNIX_EPOCH).await
            }
            people => people,
        }
    }

    /// The rows of the view: several parts of a page read them, and each would plan what is made of three
    /// tables anew.
    pub(super) async fn people(&self, prepared: &Prepared<'_>) -> Result<Arc<Table>, ReportError> {
        let key = format!("{VIEW} {}", prepared.people_until_the_end());
        let sql = format!("select * from {VIEW}");
        let answer = Box::pin(self.ask(prepared, &sql, &[]));
        self.sources.answers_of_moment().get_or(key, answer).await
    }

    async fn people_until(
        &self,
        prepared: &Prepared<'_>,
        moment: Timestamp,
    ) -> Result<PeopleBefore, ReportError> {
        let rows = async |table: &'static TableDef, sql| {
            let before = moment.as_microsecond();
            let params = [("people_before", Value::Time(moment))];
            let rows = RowsBefore { table, before };
            self.ask_once(prepared, sql, &params, rows).await
        };
        Ok(PeopleBefore {
            moment,
            ran: rows(&sessions::TABLE, RAN).await?,
            accounts: rows(&events::TABLE, ACCOUNTS).await?,
        })
    }
}

const RAN: &str = r#"
select hub, "user", min(started) as first_started, max(started) as last_started, max(ended) as last_until
from sessions
where started < $people_before
group by hub, "user""#;

const ACCOUNTS: &str = r#"
select hub, "user",
       min("at") filter (where kind = 'user-added') as added_at,
       min("at") filter (where kind = 'user-added' and not_before is null) as old_at,
       max("at") filter (where kind = 'user-added') as last_added_at,
       max("at") filter (where kind = 'user-removed') as removed_at
from events
where kind in ('user-added', 'user-removed') and source = 'poll' and "at" < $people_before
group by hub, "user""#;
