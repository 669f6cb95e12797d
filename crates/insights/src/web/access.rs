//! Who may read metrics that name people.
//!
//! Behind the hub's proxy every visitor of the hub, logged in or not, reaches us. So there a
//! token is asked for: the configured one, or a hub token that could read the same from the hub.

use super::{Refusal, Site};
use crate::config::Secret;
use crate::hub::{ErrorKind, Identity};
use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
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
/// down, its metrics must not be.
const TRUSTED_WITHOUT_THE_HUB: Duration = Duration::from_hours(1);
/// Tokens that are remembered.
const REMEMBERED: usize = 1000;
/// Unknown tokens that the hub is asked about: this many at once, then as many a second. Without
/// a limit, a flood of made-up tokens would reach the hub, which has one thread.
const QUESTIONS_AT_ONCE: f64 = 20.0;
const QUESTIONS_PER_SECOND: f64 = 2.0;

/// Lets a request read metrics that name people, or says why not.
pub(super) async fn may_read_names(site: &Site, headers: &HeaderMap) -> Result<(), Refusal> {
    let is_direct = site.access == Access::OwnPort && !came_through_a_proxy(headers);
    if is_direct || site.config.metrics.open {
        return Ok(());
    }
    let token = bearer(headers).ok_or(Refusal::Forbidden)?;
    let scrape_token = site.config.metrics.scrape_token.as_ref();
    if scrape_token.is_some_and(|scrape_token| scrape_token.matches(token.expose())) {
        return Ok(());
    }
    site.tokens.may_read_names(site, &token).await
}

/// A request with any of these was passed on by somebody, whoever reaches that somebody.
fn came_through_a_proxy(headers: &HeaderMap) -> bool {
    let mut names = headers.keys().map(header::HeaderName::as_str);
    names.any(|name| name == "forwarded" || name == "x-real-ip" || name.starts_with("x-forwarded-"))
}

/// `Authorization: token T` or `Authorization: Bearer T`, as the hub takes them.
fn bearer(headers: &HeaderMap) -> Option<Secret> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let is_known = scheme.eq_ignore_ascii_case("token") || scheme.eq_ignore_ascii_case("bearer");
    Some(Secret::new(token)).filter(|token| is_known && !token.expose().is_empty())
}

/// Whether whoever has these scopes could read the same from the hub.
fn could_read_the_same(identity: &Identity) -> bool {
    let lists_users = identity.has_scope("list:users");
    let reads_groups = identity.has_scope("list:groups") && identity.has_scope("read:groups");
    identity.has_scope("read:metrics") || (lists_users && reads_groups)
}

/// What the hub said about the tokens that clients sent.
#[derive(Debug)]
pub struct ClientTokens {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// By the token's SHA-256, so that no token lies about in memory.
    known: HashMap<[u8; 32], Known>,
    questions_left: f64,
    questions_counted: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    verdict: Verdict,
    asked: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    MayReadNames,
    MayNot,
}

impl Default for ClientTokens {
    fn default() -> Self {
        let state = State {
            known: HashMap::new(),
            questions_left: QUESTIONS_AT_ONCE,
            questions_counted: Instant::now(),
        };
        Self {
            state: Mutex::new(state),
        }
    }
}

impl ClientTokens {
    async fn may_read_names(&self, site: &Site, token: &Secret) -> Result<(), Refusal> {
        let digest: [u8; 32] = Sha256::digest(token.expose().as_bytes()).into();
        let known = self.known(&digest);
        let was_good = known.filter(|known| known.verdict == Verdict::MayReadNames);
        let verdict = match known {
            Some(known) if known.asked.elapsed() < BELIEVED => known.verdict,
            _ => {
                // Visitors who make up tokens cannot use up the questions of those who have one.
                if was_good.is_none() {
                    self.take_question()?;
                }
                match ask(site, token).await {
                    Ok(verdict) => self.remember(digest, verdict),
                    Err(_) if was_good.is_some() => Verdict::MayReadNames,
                    Err(refusal) => return Err(refusal),
                }
            }
        };
        match verdict {
            Verdict::MayReadNames => Ok(()),
            Verdict::MayNot => Err(Refusal::Forbidden),
        }
    }

    /// What is known of a token and not too old to matter.
    fn known(&self, digest: &[u8; 32]) -> Option<Known> {
        self.state()
            .known
            .get(digest)
            .copied()
            .filter(Known::is_of_use)
    }

    fn remember(&self, digest: [u8; 32], verdict: Verdict) -> Verdict {
        let mut state = self.state();
        if state.known.len() >= REMEMBERED {
            state.known.retain(|_, known| known.is_of_use());
        }
        if state.known.len() < REMEMBERED {
            let known = Known {
                verdict,
                asked: Instant::now(),
            };
            state.known.insert(digest, known);
        }
        verdict
    }

    fn take_question(&self) -> Result<(), Refusal> {
        let mut state = self.state();
        let elapsed = state.questions_counted.elapsed();
        state.questions_counted = Instant::now();
        let regained = elapsed.as_secs_f64() * QUESTIONS_PER_SECOND;
        state.questions_left = (state.questions_left + regained).min(QUESTIONS_AT_ONCE);
        if state.questions_left < 1.0 {
            return Err(Refusal::TryLater {
                reason: "too many unknown tokens",
            });
        }
        state.questions_left -= 1.0;
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn is_of_use(&self) -> bool {
        let limit = match self.verdict {
            Verdict::MayReadNames => TRUSTED_WITHOUT_THE_HUB,
            Verdict::MayNot => BELIEVED,
        };
        self.asked.elapsed() < limit
    }
}

async fn ask(site: &Site, token: &Secret) -> Result<Verdict, Refusal> {
    match site.hub.whoami_with(token).await {
        Ok(identity) if could_read_the_same(&identity) => Ok(Verdict::MayReadNames),
        Ok(_) => Ok(Verdict::MayNot),
        Err(error) if error.kind() == ErrorKind::BadToken => Ok(Verdict::MayNot),
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

    #[test]
    fn only_unfiltered_scopes_count() {
        let check = |scopes: &[&str]| {
            let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
            let (name, kind) = ("ada".to_owned(), "user".to_owned());
            could_read_the_same(&Identity { name, kind, scopes })
        };
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
    fn questions_about_unknown_tokens_are_limited() {
        let tokens = ClientTokens::default();
        let outcomes: Vec<bool> = (0..30).map(|_| tokens.take_question().is_ok()).collect();
        assert!(outcomes[..20].iter().all(|&is_allowed| is_allowed));
        assert!(!outcomes[29]);
    }
}
