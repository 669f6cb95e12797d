//! What the address of a page says: the period, and what it is narrowed to.

use super::view::{Address, Choice, Field, PeriodPicker, Select};
use crate::answers::{Answers, Days, Request};
use crate::web::visitor::Visitor;
use crate::web::{Site, sight};
use model::viewer::Standing;
use store::report::ReportError;

/// Longest value that is read from an address. Names at the hub are shorter.
const VALUE_BYTES: usize = 1024;

/// What is shown, and for which days.
pub(in crate::web) struct AskedPeriod {
    /// Without the name of a report.
    pub(in crate::web) request: Request,
    /// Of the page.
    pub(in crate::web) days: Option<Days>,
    /// Those to choose from.
    hubs: Vec<String>,
    about: Hubs,
}

/// Which hubs of a history a page of an administrator may be about; those of others are about ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) enum Hubs {
    /// All together, if none is chosen.
    All,
    /// One, which is ours if none is chosen: at another one the same name is somebody else's.
    One,
    /// Ours.
    Ours,
}

/// A question as an address says it, without a report.
pub(in crate::web) fn request_of(query: &str) -> Result<Request, ReportError> {
    let mut request = Request::default();
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if value.len() > VALUE_BYTES || key.len() > VALUE_BYTES {
            let told = "a part of the address is longer than any name".to_owned();
            return Err(ReportError::Wrong(told));
        }
        // Fields of a form that nobody filled in.
        if value.is_empty() {
            continue;
        }
        let (key, value) = (key.into_owned(), value.into_owned());
        match key.as_str() {
            "from" => request.from = Some(value),
            "to" => request.to = Some(value),
            "hub" => request.hub = Some(value),
            "group" => request.group = Some(value),
            "user" => request.user = Some(value),
            "name" | "look" | "width" | "format" | "title" | "next" | "search" | "page" => {}
            _ => {
                request.choices.insert(key, value);
            }
        }
    }
    Ok(request)
}

/// The value of a key in an address.
pub(in crate::web) fn value_of(query: &str, name: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    let found = pairs.find(|(key, value)| key == name && !value.is_empty());
    found.map(|(_, value)| value.into_owned())
}

impl AskedPeriod {
    /// What the address says; of a service without a history no days are known.
    pub(in crate::web) async fn of(
        site: &Site,
        visitor: &Visitor,
        query: &str,
        about: Hubs,
    ) -> Result<Self, crate::answers::AnswerError> {
        let mut request = request_of(query)?;
        let about = match visitor.viewer.standing {
            Standing::Admin => about,
            Standing::Owner | Standing::User => Hubs::Ours,
        };
        if about != Hubs::All {
            let ours = &site.config.hub.name;
            request.hub.get_or_insert_with(|| ours.clone());
        }
        let (mut days, mut hubs) = (None, Vec::new());
        if let Some(answers) = site.answers.as_deref() {
            days = Some(answers.days(&request).await?);
            if about != Hubs::Ours {
                hubs = answers.hubs().await?;
            }
        }
        Ok(Self {
            request,
            days,
            hubs,
            about,
        })
    }

    /// For whom gets figures of a group only: the month that they are told of.
    pub(in crate::web) fn settle(&mut self) {
        let Some(days) = self.days else { return };
        let month = sight::whole_month(&days);
        self.request.from = Some(month.from.to_string());
        self.request.to = Some(month.to.to_string());
        self.days = Some(month);
    }

    /// The form that changes it.
    pub(in crate::web) fn picker(
        &self,
        page: Address,
        mut selects: Vec<Select>,
        kept: Vec<Field>,
    ) -> Option<PeriodPicker> {
        let days = self.days?;
        if self.hubs.len() > 1 {
            let chosen = self.request.hub.as_deref().unwrap_or_default();
            let all = (self.about == Hubs::All).then(|| Choice::new("", chosen).called("all hubs"));
            let each = self.hubs.iter().map(|hub| Choice::new(hub, chosen));
            selects.push(Select {
                name: "hub".to_owned(),
                label: "Hub".to_owned(),
                choices: all.into_iter().chain(each).collect(),
            });
        }
        Some(PeriodPicker {
            page,
            today: days.today,
            from: days.from,
            to: days.to,
            selects,
            kept,
        })
    }

    /// The address of a page or part about the same.
    pub(in crate::web) fn carried(&self, address: Address) -> Address {
        let of = |value: &Option<String>| value.clone().unwrap_or_default();
        let request = &self.request;
        address
            .with("from", &of(&request.from))
            .with("to", &of(&request.to))
            .with("hub", &of(&request.hub))
            .with("group", &of(&request.group))
            .with("user", &of(&request.user))
    }
}

/// All groups of a list to choose from.
pub(in crate::web) fn group_select<'a>(
    groups: impl Iterator<Item = &'a str>,
    chosen: &str,
    none: Option<&str>,
) -> Select {
    let none = none.map(|label| Choice::new("", chosen).called(label));
    let each = groups.map(|group| Choice::new(group, chosen));
    Select {
        name: "group".to_owned(),
        label: "Group".to_owned(),
        choices: none.into_iter().chain(each).collect(),
    }
}

/// The reports, if a history is kept.
pub(in crate::web) fn answers(site: &Site) -> Option<&Answers> {
    site.answers.as_deref()
}
