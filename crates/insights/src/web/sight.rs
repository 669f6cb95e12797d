//! Which questions somebody may ask, and how much of an answer they get: the one place that decides it
//! for pages, their parts and the API alike.

use super::Site;
use super::api::ApiError;
use super::visitor::{OWNERS_UNKNOWN, Visitor};
use crate::answers::{AnswerError, Answers, Days, Request};
use crate::config::{AccessConfig, Config, OwnerSees};
use jiff::ToSpan as _;
use model::names::{GroupName, UserName};
use model::viewer::{Sight, Standing, Viewer};
use std::sync::Arc;
use store::report::{Answer, Audience, Definition, Reader, ReportError};

/// Why somebody may not ask it; one sentence that names nothing they do not know already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Denied {
    /// About everybody.
    #[error("you may ask this about yourself, or about a group that you look after")]
    NeedsAChoice,
    /// Another hub, where the same names are other people's.
    #[error("you may ask only about this hub")]
    Hub,
    /// The group, whether or not there is one of that name.
    #[error("you may ask only about groups that you look after")]
    Group,
    /// The person, whether or not there is one of that name.
    #[error("you may ask only about yourself")]
    Person,
    /// The report.
    #[error("this report is for administrators only")]
    Report,
}

/// What somebody is told who may not ask it.
pub(super) fn refused(visitor: &Visitor, denied: Denied) -> ApiError {
    if denied == Denied::Group && !visitor.owners_known {
        return ApiError::Busy(OWNERS_UNKNOWN.to_owned());
    }
    ApiError::Denied(denied.to_string())
}

/// How much of an answer somebody gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// All of it.
    Whole,
    /// What is for such a reader.
    To(Reader),
}

/// What of the answer to this question somebody gets.
pub(super) fn shown(
    viewer: &Viewer,
    config: &Config,
    report: &Definition,
    request: &Request,
) -> Result<Shown, Denied> {
    if viewer.standing == Standing::Admin {
        return Ok(Shown::Whole);
    }
    if request.hub.as_deref() != Some(config.hub.name.as_str()) {
        return Err(Denied::Hub);
    }
    let access = &config.access;
    let reader = match (&request.group, &request.user) {
        (Some(group), None) => {
            if !viewer.may_see(Sight::Group(&GroupName::from(group.as_str()))) {
                return Err(Denied::Group);
            }
            of_owner(access)
        }
        // Not `may_see`: an owner's own page is theirs too.
        (None, Some(user)) if *user == *viewer.user.as_str() => Reader::Person,
        (_, Some(_)) => return Err(Denied::Person),
        (None, None) => return Err(Denied::NeedsAChoice),
    };
    let audience = reader.audience();
    let mut choices = request.choices.iter();
    let may_choose = choices.all(|(name, value)| report.lets_choose(audience, name, value));
    if !report.is_for(audience) || !may_choose {
        return Err(Denied::Report);
    }
    Ok(Shown::To(reader))
}

fn of_owner(access: &AccessConfig) -> Reader {
    match access.owner_sees {
        OwnerSees::Names => Reader::Owner,
        OwnerSees::Aggregates => Reader::Shared {
            least_people: access.least_people,
        },
    }
}

/// Whether somebody may ask a report at all, about whatever is theirs.
pub(super) fn may_ask(viewer: &Viewer, access: &AccessConfig, report: &Definition) -> bool {
    let of_group = of_owner(access).audience();
    match viewer.standing {
        Standing::Admin => true,
        Standing::Owner => report.is_for(of_group) || report.is_for(Audience::User),
        Standing::User => report.is_for(Audience::User),
    }
}

/// The question as it is meant by somebody who does not see everything: about them or the first of
/// their groups, if they did not say, and about this hub. People and groups of the same name at another
/// hub are others.
pub(super) fn meant(
    viewer: &Viewer,
    config: &Config,
    report: &Definition,
    request: Request,
) -> Request {
    if viewer.standing == Standing::Admin {
        return request;
    }
    let says_nothing = request.group.is_none() && request.user.is_none();
    let request = Request {
        hub: request.hub.or_else(|| Some(config.hub.name.clone())),
        ..request
    };
    if !says_nothing {
        return request;
    }
    let is_of_groups = report.is_for(of_owner(&config.access).audience());
    match viewer.owns.first().filter(|_| is_of_groups) {
        Some(group) => Request {
            group: Some(group.to_string()),
            ..request
        },
        None => Request {
            user: Some(viewer.user.to_string()),
            ..request
        },
    }
}

/// The report of this name. Why a file of the site is none is for administrators: it tells the file and
/// what stands in it.
pub(super) fn report<'a>(
    viewer: &Viewer,
    answers: &'a Answers,
    name: &str,
) -> Result<&'a Arc<Definition>, AnswerError> {
    let report = answers.report(name);
    let report = report.map_err(|error| match viewer.standing {
        Standing::Admin => error,
        Standing::Owner | Standing::User => ReportError::Unknown {
            name: name.to_owned(),
            nearest: None,
        },
    });
    Ok(report?)
}

/// The question as it is meant, about days that whoever asks it may choose.
pub(super) async fn asked(
    site: &Site,
    answers: &Answers,
    visitor: &Visitor,
    report: &Definition,
    request: Request,
) -> Result<Request, AnswerError> {
    let request = meant(&visitor.viewer, &site.config, report, request);
    if !reads_aggregates(&visitor.viewer, &site.config.access, &request) {
        return Ok(request);
    }
    let days = answers.days(&request).await?;
    Ok(in_whole_months(report, request, &days))
}

/// Whether they get no more of the answer than figures of a group.
pub(super) fn reads_aggregates(viewer: &Viewer, access: &AccessConfig, request: &Request) -> bool {
    viewer.standing != Standing::Admin
        && request.group.is_some()
        && matches!(of_owner(access), Reader::Shared { .. })
}

/// The same question about the last month that was over by its last day; reports about months and weeks
/// of the calendar tell as many months before it as they usually do.
fn in_whole_months(report: &Definition, request: Request, days: &Days) -> Request {
    let month = whole_month(days);
    let first = report
        .usual_months
        .map_or(month.from, |months| months.before(month.to));
    Request {
        from: Some(first.to_string()),
        to: Some(month.to.to_string()),
        ..request
    }
}

/// The last month of the calendar that is over and ends in the period or before it.
///
/// Who gets sums over people may not choose the days: two periods that differ by a day would tell that
/// day by their difference, however few came. Whole months share no day with each other, and one that
/// runs would tell by the hour who comes.
pub(super) fn whole_month(days: &Days) -> Days {
    let behind = days.to.saturating_add(1.day()).min(days.today);
    let to = behind.first_of_month().saturating_sub(1.day());
    Days {
        today: days.today,
        from: to.first_of_month(),
        to,
    }
}

/// The answer as they get it.
pub(super) fn cut(answer: Arc<Answer>, shown: Shown) -> Arc<Answer> {
    match shown {
        Shown::Whole => answer,
        Shown::To(reader) => Arc::new(answer.shown_to(reader)),
    }
}

/// Whether this is a look at a named person other than oneself, which is kept in `audit`.
pub(super) fn is_look_at_another(viewer: &Viewer, user: &str) -> bool {
    viewer.user != UserName::from(user)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::viewer::Authority;
    use std::collections::BTreeSet;
    use store::report::Registry;

    fn config(owner_sees: OwnerSees) -> Config {
        let mut config = Config::default();
        config.hub.name = "lab".to_owned();
        config.access.owner_sees = owner_sees;
        config
    }

    /// `olga` looks after physics.
    fn viewer(role: &str) -> Viewer {
        let (is, owns): (_, &[&str]) = match role {
            "admin" => (Authority::Administrator, &[]),
            "owner" => (Authority::Ordinary, &["physics"]),
            "user" => (Authority::Ordinary, &[]),
            _ => panic!("nobody is called {role}"),
        };
        let owns: BTreeSet<GroupName> = owns.iter().map(|group| GroupName::from(*group)).collect();
        Viewer::new("olga".into(), is, owns)
    }

    /// `usage-by-user group=physics` as a question about this hub.
    fn request(text: &str) -> Request {
        let mut words = text.split(' ');
        let mut request = Request {
            name: words.next().unwrap().to_owned(),
            hub: Some("lab".to_owned()),
            ..Request::default()
        };
        for word in words {
            let (key, value) = word.split_once('=').unwrap();
            let value = value.to_owned();
            match key {
                "group" => request.group = Some(value),
                "user" => request.user = Some(value),
                "hub" => request.hub = Some(value),
                "from" => request.from = Some(value),
                "to" => request.to = Some(value),
                _ => {
                    request.choices.insert(key.to_owned(), value);
                }
            }
        }
        request
    }

    fn report(name: &str) -> Arc<Definition> {
        Arc::clone(Registry::ours().get(name).unwrap())
    }

    /// What of an answer this role gets, in words.
    fn gets(role: &str, owner_sees: OwnerSees, text: &str) -> String {
        let request = request(text);
        let config = config(owner_sees);
        let report = report(&request.name);
        match shown(&viewer(role), &config, &report, &request) {
            Ok(Shown::Whole) => "whole".to_owned(),
            Ok(Shown::To(reader)) => reader.audience().to_string(),
            Err(denied) => format!("{denied:?}"),
        }
    }

    #[test]
    fn everybody_gets_what_is_theirs() {
        let names = OwnerSees::Names;
        for (role, question, expected) in [
            ("admin", "sessions", "whole"),
            ("admin", "sessions user=ben hub=far", "whole"),
            ("owner", "sessions", "NeedsAChoice"),
            ("owner", "sessions group=physics", "owner"),
            ("owner", "sessions group=art", "Group"),
            ("owner", "sessions group=physics hub=far", "Hub"),
            ("owner", "sessions user=olga", "user"),
            ("owner", "sessions user=ben", "Person"),
            ("owner", "sessions group=physics user=ben", "Person"),
            ("owner", "session-lengths group=physics by=image", "Report"),
            ("owner", "session-lengths group=physics by=week", "owner"),
            ("owner", "idle-servers group=physics", "Report"),
            ("user", "sessions group=physics", "Group"),
            ("user", "sessions user=olga", "user"),
            ("user", "overview", "NeedsAChoice"),
        ] {
            assert_eq!(gets(role, names, question), expected, "{role}: {question}");
        }
    }

    #[test]
    fn an_owner_who_sees_aggregates_gets_what_a_share_link_would_show() {
        for (question, expected) in [
            ("overview group=physics", "share"),
            ("usage-by-group group=physics", "share"),
            ("usage-by-user group=physics", "Report"),
            ("sessions group=physics", "Report"),
            ("new-users group=physics by=week", "Report"),
            ("new-users group=physics by=month", "share"),
            ("overview group=art", "Group"),
            ("sessions user=olga", "user"),
        ] {
            let gets = gets("owner", OwnerSees::Aggregates, question);
            assert_eq!(gets, expected, "{question}");
        }
    }

    fn days(from: &str, to: &str, today: &str) -> Days {
        Days {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            today: today.parse().unwrap(),
        }
    }

    #[test]
    fn no_two_periods_of_aggregates_share_a_day_without_being_the_same() {
        let (today, mut seen) = ("2026-11-22", BTreeSet::new());
        for to in ["2026-11-19", "2026-11-20", "2026-11-22", "2027-03-01"] {
            for from in ["2026-11-01", "2026-10-07", "2026-11-19"] {
                let month = whole_month(&days(from, to, today));
                seen.insert(format!("{} {}", month.from, month.to));
            }
        }
        assert_eq!(
            seen.into_iter().collect::<Vec<_>>(),
            ["2026-10-01 2026-10-31"]
        );
        let last_day = |to: &str, today: &str| whole_month(&days(to, to, today)).to.to_string();
        assert_eq!(last_day("2026-10-31", today), "2026-10-31");
        assert_eq!(last_day("2026-10-30", today), "2026-09-30");
        assert_eq!(last_day("2026-11-30", "2026-11-30"), "2026-10-31");
        assert_eq!(last_day("2026-11-30", "2026-12-01"), "2026-11-30");
        assert_eq!(last_day("2024-03-01", today), "2024-02-29");
    }

    #[test]
    fn only_readers_of_aggregates_may_not_choose_days() {
        let asks = |role: &str, owner_sees, text: &str| {
            let access = config(owner_sees).access;
            reads_aggregates(&viewer(role), &access, &request(text))
        };
        let aggregates = OwnerSees::Aggregates;
        assert!(asks("owner", aggregates, "overview group=physics"));
        assert!(!asks("owner", OwnerSees::Names, "overview group=physics"));
        assert!(!asks("owner", aggregates, "sessions user=olga"));
        assert!(!asks("admin", aggregates, "overview group=physics"));
    }

    #[test]
    fn reports_about_months_tell_those_before_too() {
        let days = days("2026-11-01", "2026-11-20", "2026-11-22");
        let period = |name: &str| {
            let asked = request("x group=physics from=2026-11-01 to=2026-11-20");
            let asked = in_whole_months(&report(name), asked, &days);
            format!("{} {}", asked.from.unwrap(), asked.to.unwrap())
        };
        assert_eq!(period("overview"), "2026-10-01 2026-10-31");
        assert_eq!(period("retention"), "2025-10-01 2026-10-31");
    }

    #[test]
    fn what_is_not_said_is_meant_about_oneself_or_ones_group() {
        let config = config(OwnerSees::Names);
        let meant = |role: &str, name: &str| {
            let asked = Request {
                name: name.to_owned(),
                ..Request::default()
            };
            let meant = meant(&viewer(role), &config, &report(name), asked);
            (meant.hub, meant.group, meant.user)
        };
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(meant("admin", "sessions"), (None, None, None));
        let of_group = (text("lab"), text("physics"), None);
        assert_eq!(meant("owner", "sessions"), of_group);
        let of_person = (text("lab"), None, text("olga"));
        assert_eq!(meant("owner", "idle-servers"), of_person);
        assert_eq!(meant("user", "sessions"), of_person);
    }
}
