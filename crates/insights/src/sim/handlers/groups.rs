//! Reading groups.

use super::{Caller, JsonReply, Reply};
use crate::sim::listing::ListRequest;
use crate::sim::refusal::Refusal;
use crate::sim::replies::GroupReply;
use crate::sim::scopes::Target;
use crate::sim::server::SimHub;
use crate::sim::world::{Group, World};
use axum::extract::{Path, State};

/// A part of the groups, in id order.
pub(super) async fn list(State(hub): State<SimHub>, caller: Caller, request: ListRequest) -> Reply {
    let scopes = caller.may(&["list:groups"], Target::List)?;
    let window = request.window()?;
    let world = hub.world();
    let is_wanted = |group: &&Group| scopes.covers_group("list:groups", group);
    let groups: Vec<_> = world.groups().iter().filter(is_wanted).collect();
    let shown = window.of(&groups).iter();
    let replies = shown.map(|group| GroupReply::new(group, scopes)).collect();
    Ok(JsonReply::of(&request.reply(replies, window, groups.len())))
}

/// One group.
pub(super) async fn one(
    State(hub): State<SimHub>,
    caller: Caller,
    Path(name): Path<String>,
) -> Reply {
    let any_of = &["read:groups", "read:groups:name", "read:roles:groups"];
    let scopes = caller.may(any_of, Target::Group(&name))?;
    Ok(JsonReply::of(&GroupReply::new(
        find(&hub.world(), &name)?,
        scopes,
    )))
}

pub(super) fn find<'a>(world: &'a World, name: &str) -> Result<&'a Group, Refusal> {
    world
        .group(name)
        .ok_or_else(|| Refusal::unknown_group(name))
}
