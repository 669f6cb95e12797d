//! Who may read metrics that name people, and send events; and whose token it is that comes with a
//! request.
//!
//! Behind the hub's proxy every visitor of the hub, logged in or not, reaches us. So there a
//! token is asked for: a configured one, or a hub token that could do the same at the hub. Access to
//! the service is never enough to write: every user has that, and could write in anybody's name.

use super::questions::{Questions, TooMany};
use super::{Refusal, Site};
use crate::config::Secret;
use crate::hub::{ErrorKind, Identity};
use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How requests get to a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Through the hub's proxy, from anywhere.
    Proxied,
    /// Straight to a port that the proxy does not serve, from inside the network.
    OwnPort,
}

/// How long an answer about a token is believed. A revoked token works for at most this long while
/// the hub answers.
const BELIEVED: Duration = Duration::from_mins(1);
/// How long a token that was good stays good while the hub cannot be asked: just when the hub is
/// down, its metrics must not be. So long it is also known to be somebody's, and not held up by a
/// flood of made-up ones.
const TRUSTED_WITHOUT_THE_HUB: Duration = Duration::from_hours(1);
/// Tokens that are remembered.
const REMEMBERED: usize = 1000;
/// How long a request with a token that was good waits for the hub's word; then it goes on, and
/// so do others for a while: a hub that hangs must not hold up events and scrapes.
const PATIENCE: Duration = Duration::from_secs(2);
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// Unknown tokens that the hub is asked about: this many at once, then as many a second.
const QUESTIONS_AT_ONCE: u32 = 20;
const QUESTIONS_PER_SECOND: u32 = 2;

/// Lets a request read metrics that name people, or says why not.
pub(super) async fn may_read_names(site: &Site, headers: &HeaderMap) -> Result<(), Refusal> {
    let is_direct = site.access == Access::OwnPort && !came_through_a_proxy(headers);
    if is_direct || site.config.metrics.open {
        return Ok(());
    }
    may(
        site,
        headers,
        Needs::Names,
        site.config.metrics.scrape_token.as_ref(),
    )
    .await
}

/// Lets a request write events and custom metrics, or says why not.
pub(super) async fn may_write_events(site: &Site, headers: &HeaderMap) -> Result<(), Refusal> {
    may(
        site,
        headers,
        Needs::Writing,
        site.config.events.token.as_ref(),
    )
    .await
}

async fn may(
    site: &Site,
    headers: &HeaderMap,
    needs: Needs,
    configured: Option<&Secret>,
) -> Result<(), Refusal> {
    let token = bearer(headers).ok_or(Refusal::Forbidden(needs))?;
    if configured.is_some_and(|configured| configured.matches(token.expose())) {
        return Ok(());
    }
    site.tokens.may(site, &token, needs).await
}

/// A request with any of these was passed on by somebody, whoever reaches that somebody.
fn came_through_a_proxy(headers: &HeaderMap) -> bool {
    let mut names = headers.keys().map(header::HeaderName::as_str);
    names.any(|name| name == "forwarded" || name == "x-real-ip" || name.starts_with("x-forwarded-"))
}

/// `Authorization: token T` or `Authorization: Bearer T`, as the hub takes them.
pub(super) fn bearer(headers: &HeaderMap) -> Option<Secret> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let is_known = scheme.eq_ignore_ascii_case("token") || scheme.eq_ignore_ascii_case("bearer");
    Some(Secret::new(token)).filter(|token| is_known && !token.expose().is_empty())
}

/// What a request needs a token for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Read metrics that name people.
    Names,
    /// Write events and custom metrics.
    Writing,
}

impl Needs {
    /// What to send, in one line.
    pub(super) fn told(self) -> &'static str {
        match self {
            Self::Names => {
                "these metrics name people: send the scrape token or a hub token with the scope \
                 read:metrics (or list:users, list:groups and read:groups) as Authorization: Bearer TOKEN"
            }
            Self::Writing => {
                "to write needs the token `events.token` or a hub token with the scope \
                 custom:insights:write, as Authorization: Bearer TOKEN"
            }
        }
    }

    /// Whether whoever has these scopes could do the same at the hub, or was given our own scope.
    fn are_met_by(self, identity: &Identity) -> bool {
        match self {
            Self::Names => {
                let lists_users = identity.has_scope("list:users");
                let reads_groups =
                    identity.has_scope("list:groups") && identity.has_scope("read:groups");
                identity.has_scope("read:metrics") || (lists_users && reads_groups)
            }
            Self::Writing => identity.has_scope(WRITE_SCOPE),
        }
    }
}

/// The scope that lets a token write events; `python/` defines it at the hub.
const WRITE_SCOPE: &str = "custom:insights:write";

/// What a token is good for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Grants {
    names: bool,
    writing: bool,
}

impl Grants {
    fn of(identity: &Identity) -> Self {
        Self {
            names: Needs::Names.are_met_by(identity),
            writing: Needs::Writing.are_met_by(identity),
        }
    }

    fn meet(self, needs: Needs) -> bool {
        match needs {
            Needs::Names => self.names,
            Needs::Writing => self.writing,
        }
    }

    fn are_any(self) -> bool {
        self != Self::default()
    }
}

/// What the hub says of a token: whose it is, if it is somebody's.
#[derive(Clone, Debug, Default)]
struct Told {
    identity: Option<Arc<Identity>>,
    grants: Grants,
}

impl Told {
    fn of(identity: Identity) -> Self {
        Self {
            grants: Grants::of(&identity),
            identity: Some(Arc::new(identity)),
        }
    }
}

/// What the hub said about the tokens that clients sent.
#[derive(Debug)]
pub struct ClientTokens {
    known: Mutex<AllKnown>,
    /// About tokens of which nothing is known.
    questions: Questions,
}

/// By the token's SHA-256, so that no token lies about in memory.
type AllKnown = HashMap<[u8; 32], Known>;

#[derive(Clone, Debug)]
struct Known {
    told: Told,
    /// When the hub last said so.
    asked: Instant,
    /// When somebody last began to ask, in vain so far.
    asking: Option<Instant>,
}

impl Default for ClientTokens {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            questions: Questions::new(QUESTIONS_AT_ONCE, QUESTIONS_PER_SECOND),
        }
    }
}

impl ClientTokens {
    async fn may(&self, site: &Site, token: &Secret, needs: Needs) -> Result<(), Refusal> {
        // Metrics and events go on while the hub is down; pages can wait.
        let told = self.told(site, token, WithoutTheHub::GoOn).await?;
        if told.grants.meet(needs) {
            Ok(())
        } else {
            Err(Refusal::Forbidden(needs))
        }
    }

    /// Whose token it is; nobody's if the hub does not know it.
    pub(super) async fn identity(
        &self,
        site: &Site,
        token: &Secret,
    ) -> Result<Option<Arc<Identity>>, Refusal> {
        let told = self.told(site, token, WithoutTheHub::Wait).await?;
        Ok(told.identity)
    }

    async fn told(
        &self,
        site: &Site,
        token: &Secret,
        patience: WithoutTheHub,
    ) -> Result<Told, Refusal> {
        let digest: [u8; 32] = Sha256::digest(token.expose().as_bytes()).into();
        match self.known(&digest) {
            Some(known) if known.asked.elapsed() < BELIEVED => Ok(known.told),
            Some(known) if known.told.grants.are_any() && patience == WithoutTheHub::GoOn => {
                Ok(self.ask_briefly(site, token, digest, known).await)
            }
            known => {
                // Visitors who make up tokens cannot use up the questions of those who have one.
                if known.is_none_or(|known| known.told.identity.is_none()) {
                    let question = self.questions.take();
                    question.map_err(|TooMany| Refusal::TryLater {
                        reason: "too many unknown tokens",
                    })?;
                }
                Ok(self.remember(digest, ask(site, token).await?))
            }
        }
    }

    /// What the hub says of a token that was good, or what it said if it does not answer soon.
    async fn ask_briefly(
        &self,
        site: &Site,
        token: &Secret,
        digest: [u8; 32],
        known: Known,
    ) -> Told {
        if known
            .asking
            .is_some_and(|at| at.elapsed() < ASKED_AGAIN_AFTER)
        {
            return known.told;
        }
        if let Some(known) = self.all_known().get_mut(&digest) {
            known.asking = Some(Instant::now());
        }
        match tokio::time::timeout(PATIENCE, ask(site, token)).await {
            Ok(Ok(told)) => self.remember(digest, told),
            Ok(Err(_)) | Err(_) => known.told,
        }
    }

    /// What is known of a token and not too old to matter.
    fn known(&self, digest: &[u8; 32]) -> Option<Known> {
        self.all_known()
            .get(digest)
            .cloned()
            .filter(|known| known.is_of_use(Instant::now()))
    }

    fn remember(&self, digest: [u8; 32], told: Told) -> Told {
        let now = Instant::now();
        let mut all = self.all_known();
        if all.len() >= REMEMBERED {
            all.retain(|_, known| known.is_of_use(now));
        }
        if all.len() >= REMEMBERED {
            // Tokens in use are asked about each minute, so it is one that is not.
            let oldest = all.iter().min_by_key(|(_, known)| known.asked);
            let oldest = oldest.map(|(digest, _)| *digest);
            oldest.and_then(|digest| all.remove(&digest));
        }
        let known = Known {
            told: told.clone(),
            asked: now,
            asking: None,
        };
        all.insert(digest, known);
        told
    }

    fn all_known(&self) -> MutexGuard<'_, AllKnown> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn is_of_use(&self, now: Instant) -> bool {
        let limit = if self.told.identity.is_some() {
            TRUSTED_WITHOUT_THE_HUB
        } else {
            BELIEVED
        };
        now.duration_since(self.asked) < limit
    }
}

/// What is done with a token that was good while the hub does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WithoutTheHub {
    GoOn,
    Wait,
}

async fn ask(site: &Site, token: &Secret) -> Result<Told, Refusal> {
    match site.hub.whoami_with(token).await {
        Ok(identity) => Ok(Told::of(identity)),
        Err(error) if error.kind() == ErrorKind::BadToken => Ok(Told::default()),
        Err(error) => {
            tracing::debug!(
                error.kind = error.kind().as_str(),
                "Could not ask about a token."
            );
            Err(Refusal::TryLater {
                reason: "the hub could not be asked about this token",
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(scopes: &[&str]) -> Grants {
        Grants::of(&Identity {
            name: "ada".to_owned(),
            kind: "user".to_owned(),
            admin: false,
            scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
        })
    }

    #[test]
    fn only_unfiltered_scopes_count() {
        let check = |scopes: &[&str]| grants(scopes).names;
        assert!(check(&["read:metrics"]));
        assert!(check(&["list:users", "list:groups", "read:groups"]));
        assert!(!check(&["list:users"]));
        assert!(!check(&["list:users", "list:groups"]));
        assert!(!check(&[
            "list:users!group=art",
            "list:groups",
            "read:groups"
        ]));
        assert!(!check(&[
            "access:services!service=insights",
            "read:users!user=ada"
        ]));
    }

    #[test]
    fn who_may_open_the_service_may_not_write_and_who_may_write_may_not_read() {
        let visitor = grants(&["access:services!service=insights", "read:users!user=ada"]);
        assert_eq!(visitor, Grants::default());
        assert!(!grants(&["custom:insights:write!user=ada"]).writing);
        let sender = grants(&["custom:insights:write"]);
        assert!(sender.writing && !sender.names);
    }

    fn told(name: &str) -> Told {
        Told::of(Identity {
            name: name.to_owned(),
            kind: "user".to_owned(),
            admin: false,
            scopes: vec!["access:services".to_owned()],
        })
    }

    #[test]
    fn whose_token_it_was_is_remembered_for_longer_than_that_it_is_nobodys() {
        let cases = [
            (Told::default(), BELIEVED / 2, true),
            (Told::default(), BELIEVED * 2, false),
            (told("ada"), BELIEVED * 2, true),
            (told("ada"), TRUSTED_WITHOUT_THE_HUB * 2, false),
        ];
        for (told, after, is_of_use) in cases {
            let asked = Instant::now();
            let known = Known {
                told,
                asked,
                asking: None,
            };
            assert_eq!(
                known.is_of_use(asked + after),
                is_of_use,
                "{known:?} after {after:?}"
            );
        }
    }

    #[test]
    fn a_token_in_use_is_remembered_however_many_others_come() {
        let tokens = ClientTokens::default();
        let digest = |text: &str| -> [u8; 32] { Sha256::digest(text).into() };
        let ada = digest("ada");
        for n in 0..2 * REMEMBERED {
            if n % 100 == 0 {
                tokens.remember(ada, told("ada"));
            }
            tokens.remember(digest(&n.to_string()), told("mallory"));
        }
        assert!(tokens.known(&ada).is_some());
        assert!(tokens.known(&digest("1999")).is_some());
        assert!(tokens.known(&digest("0")).is_none());
        assert!(tokens.all_known().len() <= REMEMBERED);
    }
}
