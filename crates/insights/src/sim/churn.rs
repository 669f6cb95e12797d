//! A little life: people start and stop servers, join and leave groups, and use what they have.

use super::world::World;
use jiff::Timestamp;
use model::names::UserName;
use rand::RngExt;

/// Draws in search of somebody to whom a change can happen.
const N_TRIES: usize = 20;

enum Change {
    Start,
    Stop,
    Join,
    Leave,
}

impl World {
    /// One small change, the same for the same history: somebody starts or stops a server, joins
    /// or leaves a group. Somebody else is active. The number of active users stays around that
    /// of the start. Gives whose default server it started.
    pub fn churn(&mut self, now: Timestamp) -> Option<UserName> {
        self.set_now(self.now.max(now));
        let active: Vec<usize> = (0..self.users().len())
            .filter(|user| self.users()[*user].is_active())
            .collect();
        let mut started = None;
        match self.draw_change(active.len()) {
            Change::Start => started = self.churn_start(),
            Change::Stop => self.churn_stop(&active),
            Change::Join => self.churn_join(),
            Change::Leave => self.churn_leave(),
        }
        self.churn_activity(&active);
        started
    }

    fn draw_change(&mut self, n_active: usize) -> Change {
        let margin = self.n_usually_active / 5 + 1;
        match self.chance.random_range(0..6) {
            0 => Change::Join,
            1 => Change::Leave,
            _ if n_active + margin < self.n_usually_active => Change::Start,
            _ if n_active > self.n_usually_active + margin => Change::Stop,
            2 | 3 => Change::Start,
            _ => Change::Stop,
        }
    }

    fn churn_start(&mut self) -> Option<UserName> {
        let user = self.draw_user(|world, user| !world.users()[user].is_active())?;
        let name = self.users()[user].name().clone();
        let now = self.now;
        self.start_server(name.as_str(), "", now);
        let options = self.draw_profile();
        if let Some(server) = self.server_mut(name.as_str(), "") {
            server.user_options = options;
        }
        Some(name)
    }

    fn churn_stop(&mut self, active: &[usize]) {
        let Some(user) = self.draw_of(active) else {
            return;
        };
        let user = &self.users()[user];
        let Some(server) = user.servers.first().map(|server| server.name.clone()) else {
            return;
        };
        let name = user.name().clone();
        self.stop_server(name.as_str(), &server);
    }

    /// Empty groups stay empty: they are there to be empty.
    fn churn_join(&mut self) {
        let groups = self
            .groups()
            .iter()
            .filter(|group| !group.members.is_empty());
        let groups: Vec<_> = groups.map(|group| group.name().clone()).collect();
        if groups.is_empty() {
            return;
        }
        let group = &groups[self.chance.random_range(0..groups.len())];
        let joiner = self.draw_user(|world, user| !world.users()[user].groups.contains(group));
        let Some(user) = joiner else { return };
        let user = self.users()[user].name().clone();
        self.add_member(group.as_str(), user.as_str());
    }

    /// Nobody leaves a group as its last member.
    fn churn_leave(&mut self) {
        let leaver = self.draw_user(|world, user| world.group_to_leave(user).is_some());
        let Some(user) = leaver else { return };
        let Some(group) = self.group_to_leave(user).map(str::to_owned) else {
            return;
        };
        let user = self.users()[user].name().clone();
        self.remove_member(&group, user.as_str());
    }

    fn group_to_leave(&self, user: usize) -> Option<&str> {
        let groups = self.users()[user].groups.iter();
        let mut groups = groups.filter_map(|name| self.group(name.as_str()));
        groups
            .find(|group| group.members.len() > 1)
            .map(|group| group.name().as_str())
    }

    fn churn_activity(&mut self, active: &[usize]) {
        let Some(user) = self.draw_of(active) else {
            return;
        };
        let now = self.now;
        let user = &mut self.users.rows_mut()[user];
        let Some(server) = user.servers.first_mut() else {
            return;
        };
        server.last_activity = Some(now);
        user.last_activity = Some(now);
    }

    fn draw_of(&mut self, users: &[usize]) -> Option<usize> {
        if users.is_empty() {
            return None;
        }
        Some(users[self.chance.random_range(0..users.len())])
    }

    fn draw_user(&mut self, is_wanted: impl Fn(&Self, usize) -> bool) -> Option<usize> {
        let n_users = self.users().len();
        if n_users == 0 {
            return None;
        }
        (0..N_TRIES)
            .map(|_| self.chance.random_range(0..n_users))
            .collect::<Vec<_>>()
            .into_iter()
            .find(|user| is_wanted(self, *user))
    }
}

#[cfg(test)]
mod tests {
    use crate::sim::{Shape, World};
    use jiff::{SignedDuration, Timestamp};

    fn churned(n_changes: i64) -> World {
        let shape = Shape {
            n_users: 300,
            n_groups: 8,
            n_active: 40,
            groups_per_user: 1.5,
            seed: 3,
        };
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let mut world = World::generate(&shape, now);
        for minute in 0..n_changes {
            world.churn(now + SignedDuration::from_mins(minute));
        }
        world
    }

    #[test]
    fn life_goes_on_around_the_usual_number_of_active_users() {
        let world = churned(2000);
        assert!((25..60).contains(&world.n_active()), "{}", world.n_active());
        assert!(
            world
                .groups()
                .iter()
                .filter(|group| group.members.is_empty())
                .count()
                == 1
        );
        let n_of_users: usize = world.users().iter().map(|user| user.groups.len()).sum();
        assert_eq!(n_of_users, world.n_memberships());
    }

    #[test]
    fn the_same_history_gives_the_same_life() {
        let text = |n| format!("{:?}", churned(n).users());
        assert_eq!(text(50), text(50));
        assert_ne!(text(50), text(49));
    }

    #[test]
    fn nothing_happens_in_an_empty_world() {
        let mut world = World::empty();
        for _ in 0..20 {
            world.churn(Timestamp::UNIX_EPOCH);
        }
        assert!(world.users().is_empty());
    }
}
