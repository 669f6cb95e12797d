//! Lists that come in pages: read whole or thrown away whole.

use super::client::{Answer, HubClient, Question, parse};
use super::error::HubError;
use super::replies::{self, GroupReply, PageReply, UserReply};
use model::names::NamePool;
use model::snapshot::{Group, Server, sorted_groups};
use reqwest::header::HeaderValue;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The hub lowers a larger `limit` to this in silence.
const LIMIT_MAX: u64 = 200;
const LIMIT_MIN: u64 = 10;
/// A page should not hold up the hub's logins for longer.
const PAGE_TIME_GOAL: Duration = Duration::from_millis(150);
/// Reads of a list that changes under us, before giving up until the next poll.
const ATTEMPTS: u32 = 3;

/// How many items to ask for at once: few until the hub proves fast.
#[derive(Debug)]
pub struct PageSize {
    limit: u64,
}

impl Default for PageSize {
    fn default() -> Self {
        Self { limit: 25 }
    }
}

impl PageSize {
    /// Items to ask for.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Learns from the time that a page took.
    pub fn learn(&mut self, elapsed: Duration) {
        if elapsed > PAGE_TIME_GOAL * 2 {
            self.limit = (self.limit / 2).max(LIMIT_MIN);
        } else if elapsed < PAGE_TIME_GOAL / 2 {
            self.limit = (self.limit * 2).min(LIMIT_MAX);
        }
    }
}

/// One page of a list, converted.
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) offset: u64,
    pub(super) total: u64,
    pub(super) next_offset: Option<u64>,
}

/// The group list with what is worth remembering between two reads.
#[derive(Debug, Default)]
pub struct GroupPages {
    size: PageSize,
    names: NamePool,
    known: HashMap<String, KnownPage>,
}

/// A page as it was under an ETag.
#[derive(Clone, Debug)]
struct KnownPage {
    etag: HeaderValue,
    groups: Arc<[Group]>,
    offset: u64,
    total: u64,
    next_offset: Option<u64>,
}

impl GroupPages {
    /// All groups with their members, sorted by name.
    ///
    /// # Errors
    /// Any failure throws away the whole list; what was known before is the caller's to keep.
    pub async fn read(&mut self, hub: &HubClient) -> Result<Arc<[Group]>, HubError> {
        let mut attempt = 1;
        let groups = loop {
            match self.read_once(hub).await {
                Err(HubError::InconsistentPages { .. }) if attempt < ATTEMPTS => attempt += 1,
                outcome => break outcome?,
            }
        };
        self.names.shrink();
        Ok(sorted_groups(groups))
    }

    async fn read_once(&mut self, hub: &HubClient) -> Result<Vec<Group>, HubError> {
        let mut collected = Collected::new("/groups");
        let mut asked = HashSet::new();
        let mut offset = 0;
        loop {
            let limit = self.size.limit();
            let path = format!("groups?offset={offset}&limit={limit}");
            let started = Instant::now();
            let page = self.page(hub, &path).await?;
            self.size.learn(started.elapsed());
            asked.insert(path);
            match collected.add_overlapping(offset, page)? {
                Some(next) => offset = next,
                None => break,
            }
        }
        self.known.retain(|path, _| asked.contains(path));
        collected.finish(|group: &Group| group.name.as_str())
    }

    async fn page(&mut self, hub: &HubClient, path: &str) -> Result<Page<Group>, HubError> {
        let known = self.known.get(path);
        let etag = known.map(|page| &page.etag);
        let question = Question {
            endpoint: "groups",
            path,
            etag,
        };
        match (hub.ask_patiently(question).await?, known) {
            (Answer::Unchanged, Some(known)) => Ok(Page {
                items: known.groups.to_vec(),
                offset: known.offset,
                total: known.total,
                next_offset: known.next_offset,
            }),
            (Answer::Unchanged, None) => Err(HubError::InconsistentPages {
                path: "/groups",
                problem: "answered \"unchanged\" to an unconditional request".to_owned(),
            }),
            (Answer::Body { bytes, etag }, _) => {
                let reply: PageReply<GroupReply<'_>> = parse(path, &bytes)?;
                let groups: Vec<Group> = reply
                    .items
                    .iter()
                    .map(|item| replies::group(item, &mut self.names))
                    .collect::<Result<_, _>>()?;
                let page = Page {
                    offset: reply.pagination.offset,
                    total: reply.pagination.total,
                    next_offset: reply.pagination.next.map(|next| next.offset),
                    items: groups,
                };
                self.remember(path, etag, &page);
                Ok(page)
            }
        }
    }

    fn remember(&mut self, path: &str, etag: Option<HeaderValue>, page: &Page<Group>) {
        let Some(etag) = etag else { return };
        let known = KnownPage {
            etag,
            groups: page.items.as_slice().into(),
            offset: page.offset,
            total: page.total,
            next_offset: page.next_offset,
        };
        self.known.insert(path.to_owned(), known);
    }
}

impl HubClient {
    /// Servers that run, start or stop, sorted by user and name.
    pub async fn active_servers(&self, size: &mut PageSize) -> Result<Vec<Server>, HubError> {
        let mut attempt = 1;
        loop {
            match self.active_servers_once(size).await {
                Err(HubError::InconsistentPages { .. }) if attempt < ATTEMPTS => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    async fn active_servers_once(&self, size: &mut PageSize) -> Result<Vec<Server>, HubError> {
        let mut collected = Collected::new("/users?state=active");
        let mut offset = 0;
        loop {
            let limit = size.limit();
            let path = format!("users?state=active&offset={offset}&limit={limit}");
            let started = Instant::now();
            let page = self
                .page(&path, "active_servers", replies::active_user)
                .await?;
            size.learn(started.elapsed());
            match collected.add_overlapping(offset, page)? {
                Some(next) => offset = next,
                None => break,
            }
        }
        let users = collected.finish_active()?;
        let mut servers: Vec<Server> = users.into_iter().flat_map(|user| user.servers).collect();
        servers.sort_by(|left, right| (&left.user, &left.name).cmp(&(&right.user, &right.name)));
        Ok(servers)
    }

    /// One page of users, converted.
    pub(super) async fn page<T>(
        &self,
        path: &str,
        endpoint: &'static str,
        convert: impl Fn(&UserReply<'_>) -> Result<T, HubError>,
    ) -> Result<Page<T>, HubError> {
        let question = Question {
            endpoint,
            path,
            etag: None,
        };
        let Answer::Body { bytes, .. } = self.ask_patiently(question).await? else {
            return Err(HubError::InconsistentPages {
                path: "/users",
                problem: "answered \"unchanged\" to an unconditional request".to_owned(),
            });
        };
        let reply: PageReply<UserReply<'_>> = parse(path, &bytes)?;
        Ok(Page {
            items: reply.items.iter().map(convert).collect::<Result<_, _>>()?,
            offset: reply.pagination.offset,
            total: reply.pagination.total,
            next_offset: reply.pagination.next.map(|next| next.offset),
        })
    }
}

/// What a list is of, told apart by its name.
trait Named {
    fn name(&self) -> &str;
}

impl Named for Group {
    fn name(&self) -> &str {
        self.name.as_str()
    }
}

impl Named for replies::ActiveUser {
    fn name(&self) -> &str {
        self.name.as_str()
    }
}

impl<T: Named> Collected<T> {
    /// Adds a page that begins with the last item of the one before; the offset of the next such
    /// page, if there is one.
    ///
    /// An item that goes while another comes leaves the total as it is, but moves those behind it,
    /// so that one would be skipped. Then the page does not begin as it should.
    fn add_overlapping(&mut self, offset: u64, mut page: Page<T>) -> Result<Option<u64>, HubError> {
        let is_empty = page.items.is_empty();
        if let Some(last) = self.items.last() {
            let first = page.items.first();
            if first.is_none_or(|first| first.name() != last.name()) {
                return Err(self.inconsistent("items moved between two pages".to_owned()));
            }
            page.items.remove(0);
        }
        let next = self.add(offset, page)?.map(|next| next - 1);
        if next.is_some_and(|next| is_empty || next <= offset) {
            return Err(self.inconsistent("a page brings nothing new".to_owned()));
        }
        Ok(next)
    }
}

impl Collected<replies::ActiveUser> {
    /// Users with servers, each once.
    ///
    /// 5.x and 6.x count and cut by user. 4.x counts and cuts by server, so that a user with three
    /// servers counts as three and may stand on several pages, each time with all servers.
    fn finish_active(mut self) -> Result<Vec<replies::ActiveUser>, HubError> {
        self.items.sort_by(|left, right| left.name.cmp(&right.name));
        self.items.dedup_by(|next, kept| next.name == kept.name);
        let total = self.total.unwrap_or_default();
        let n_users = self.items.len() as u64;
        let n_servers = self
            .items
            .iter()
            .map(|user| user.servers.len() as u64)
            .sum::<u64>();
        if n_users != total && n_servers != total {
            let problem =
                format!("{n_users} users with {n_servers} servers arrived, {total} were announced");
            return Err(self.inconsistent(problem));
        }
        Ok(self.items)
    }
}

/// Pages of one read, checked against each other.
struct Collected<T> {
    path: &'static str,
    items: Vec<T>,
    total: Option<u64>,
}

impl<T> Collected<T> {
    fn new(path: &'static str) -> Self {
        Self {
            path,
            items: Vec::new(),
            total: None,
        }
    }

    /// The offset of the next page, if there is one.
    fn add(&mut self, offset: u64, page: Page<T>) -> Result<Option<u64>, HubError> {
        if self.total.is_some_and(|total| total != page.total) {
            return Err(self.inconsistent("the total changed between two pages".to_owned()));
        }
        if page.offset != offset {
            let problem = format!(
                "asked for the page at {offset}, got that at {}",
                page.offset
            );
            return Err(self.inconsistent(problem));
        }
        self.total = Some(page.total);
        self.items.extend(page.items);
        match page.next_offset {
            Some(next) if next <= offset => {
                Err(self.inconsistent(format!("the page at {offset} leads back to {next}")))
            }
            next => Ok(next),
        }
    }

    /// The items, if there are as many different ones as the hub said.
    fn finish(self, name: impl Fn(&T) -> &str) -> Result<Vec<T>, HubError> {
        let total = self.total.unwrap_or_default();
        let n_distinct = self.items.iter().map(name).collect::<HashSet<_>>().len() as u64;
        if n_distinct != total {
            let problem = format!("{n_distinct} different items arrived, {total} were announced");
            return Err(self.inconsistent(problem));
        }
        Ok(self.items)
    }

    fn inconsistent(&self, problem: String) -> HubError {
        HubError::InconsistentPages {
            path: self.path,
            problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(items: &[&'static str], total: u64, next_offset: Option<u64>) -> Page<&'static str> {
        Page {
            items: items.to_vec(),
            offset: 0,
            total,
            next_offset,
        }
    }

    /// The pages at the offsets they lead to; the error's problem if they do not fit together.
    fn check(pages: Vec<Page<&'static str>>) -> Result<Vec<&'static str>, String> {
        let mut collected = Collected::new("/groups");
        let mut offset = 0;
        let problem = |error| match error {
            HubError::InconsistentPages { problem, .. } => problem,
            other => other.to_string(),
        };
        for mut page in pages {
            page.offset = offset;
            if let Some(next) = collected.add(offset, page).map_err(problem)? {
                offset = next;
            }
        }
        collected.finish(|item| item).map_err(problem)
    }

    #[test]
    fn pages_that_fit_together_are_a_list() {
        let pages = vec![page(&["a", "b"], 3, Some(2)), page(&["c"], 3, None)];
        assert_eq!(check(pages), Ok(vec!["a", "b", "c"]));
        assert_eq!(check(vec![page(&[], 0, None)]), Ok(vec![]));
    }

    #[test]
    fn pages_that_repeat_or_lie_are_no_list() {
        let repeating = vec![page(&["a"], 2, Some(1)), page(&["a"], 2, None)];
        assert_eq!(
            check(repeating),
            Err("1 different items arrived, 2 were announced".into())
        );
        let lying = vec![page(&["a"], 5, None)];
        assert_eq!(
            check(lying),
            Err("1 different items arrived, 5 were announced".into())
        );
        let changing = vec![page(&["a"], 2, Some(1)), page(&["b"], 3, None)];
        assert_eq!(
            check(changing),
            Err("the total changed between two pages".into())
        );
        let circling = vec![page(&["a"], 9, Some(1)), page(&["b"], 9, Some(0))];
        assert_eq!(check(circling), Err("the page at 1 leads back to 0".into()));
    }

    /// How a hub cuts its list of active servers into pages.
    #[derive(Clone, Copy, Debug)]
    enum Cut {
        /// 5.x and 6.x.
        ByUser,
        /// 4.x.
        ByServer,
    }

    /// The page of three at `offset` of a list with a word for each server: its user.
    fn active_page(list: &str, cut: Cut, offset: u64) -> Page<replies::ActiveUser> {
        const LIMIT: usize = 3;
        let servers: Vec<&str> = list.split(' ').collect();
        let mut rows = servers.clone();
        if matches!(cut, Cut::ByUser) {
            rows.dedup();
        }
        let total = rows.len() as u64;
        let first = usize::try_from(offset).unwrap();
        let mut users: Vec<&str> = rows.into_iter().skip(first).take(LIMIT).collect();
        users.dedup();
        let next_offset = offset + LIMIT as u64;
        let user = |name: &str| replies::ActiveUser {
            name: name.into(),
            servers: (servers.iter().filter(|user| **user == name).enumerate())
                .map(|(index, _)| Server {
                    user: name.into(),
                    name: index.to_string().into(),
                    started: None,
                    last_activity: None,
                    ready: true,
                    pending: None,
                    options: None,
                    image: None,
                })
                .collect(),
        };
        Page {
            items: users.into_iter().map(user).collect(),
            offset,
            total,
            next_offset: (next_offset < total).then_some(next_offset),
        }
    }

    /// What a read brings: the first page of the first list, all others of the second.
    fn read_active(before: &str, after: &str, cut: Cut) -> Result<String, String> {
        let problem = |error| match error {
            HubError::InconsistentPages { problem, .. } => problem,
            other => other.to_string(),
        };
        let mut collected = Collected::new("/users");
        let mut page = active_page(before, cut, 0);
        let mut offset = 0;
        while let Some(next) = collected.add_overlapping(offset, page).map_err(problem)? {
            offset = next;
            page = active_page(after, cut, offset);
        }
        let users = collected.finish_active().map_err(problem)?;
        let servers = users.iter().flat_map(|user| &user.servers);
        let names = servers.map(|server| server.user.to_string());
        Ok(names.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn no_active_server_is_skipped_when_the_list_changes() {
        for list in [
            "a b c",
            "a b c d e f g",
            "a a b b b b b c d d",
            "a a a a a a a",
        ] {
            for cut in [Cut::ByUser, Cut::ByServer] {
                assert_eq!(read_active(list, list, cut), Ok(list.to_owned()), "{cut:?}");
            }
        }
        // One server stops and another starts between two pages: the total is the same.
        let moved = Err("items moved between two pages".to_owned());
        for cut in [Cut::ByUser, Cut::ByServer] {
            assert_eq!(read_active("a b c d e", "b c d e f", cut), moved, "{cut:?}");
            assert_eq!(read_active("a b c d e", "a b d e f", cut), moved, "{cut:?}");
            assert_eq!(read_active("b c d e f", "a b c d e", cut), moved, "{cut:?}");
        }
        let by_server = read_active("a a b b c d", "a b b c d e", Cut::ByServer);
        let announced = "5 users with 7 servers arrived, 6 were announced";
        assert_eq!(by_server, Err(announced.to_owned()));
    }

    #[test]
    fn pages_grow_while_the_hub_is_fast_and_shrink_when_it_is_slow() {
        let mut size = PageSize::default();
        (0..10).for_each(|_| size.learn(Duration::from_millis(5)));
        assert_eq!(size.limit(), 200);
        (0..10).for_each(|_| size.learn(Duration::from_secs(2)));
        assert_eq!(size.limit(), 10);
    }
}
