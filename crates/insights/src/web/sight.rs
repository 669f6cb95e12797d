//! Which questions somebody may ask, and how much of an answer they get: the one place that decides it
//! for pages, their parts and the API alike.

use crate::answers::Request;
use crate::config::{AccessConfig, Config, OwnerSees};
use model::names::{GroupName, UserName};
use model::viewer::{Sight, Standing, Viewer};
use std::sync::Arc;
use store::report::{Answer, Audience, Definition, Reader};

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
