//! Who is logged in, by the random id in their cookie. Only in memory: after a restart the hub, which
//! still knows them, sends browsers back without a question.
//!
//! The hub ends a token when its owner logs out, so it is asked about each token again before a minute
//! is over. What a request must look like for its cookie to count is the business of
//! [`super::visitor`].

use super::audit::LastLook;
use super::questions::{Questions, TooMany};
use crate::config::Secret;
use crate::hub::{ErrorKind, HubClient, Identity};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Mutex as AsyncMutex;

/// The hub's word counts for so long. With the time that asking may take, a logout ends a session
/// within a minute.
const BELIEVED: Duration = Duration::from_secs(45);
/// How long the hub's word is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a session goes on while the hub cannot be asked.
const TRUSTED_WITHOUT_THE_HUB: Duration = Duration::from_mins(10);
/// After a hub that did not answer, it is not asked about the same session for so long.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(15);
/// A session that nobody used for so long is over.
const IDLE: Duration = Duration::from_hours(8);
/// Sessions that are kept; of more, those that were not used for longest end.
const MOST: usize = 20_000;
/// The same of one person.
const MOST_OF_ONE: usize = 20;
/// Logins that the hub is asked about: this many at once, then as many a second. A class that opens the
/// pages at once gets in; whoever makes up logins without end does not hold up the hub.
const LOGINS_AT_ONCE: u32 = 100;
const LOGINS_PER_SECOND: u32 = 10;
/// After a login somebody may do what cannot be undone.
pub(super) const FRESH: Duration = Duration::from_mins(10);

/// The sessions of this process.
#[derive(Debug)]
pub struct Sessions {
    /// By the id's SHA-256, so that a copy of our memory opens no page.
    by_digest: Mutex<All>,
    logins: Questions,
}

type All = HashMap<[u8; 32], Arc<Session>>;

/// One browser in which somebody logged in.
#[derive(Debug)]
pub(super) struct Session {
    user: String,
    token: Secret,
    page_token: Secret,
    page_digest: [u8; 32],
    begun: Instant,
    /// The same for all logins of this browser that followed each other.
    browser: Arc<Browser>,
    last_used: Mutex<Instant>,
    last_look: LastLook,
    /// Held while the hub is asked, so that it is asked once.
    checked: AsyncMutex<Checked>,
}

/// Tells logins of one browser from those of others.
#[derive(Debug)]
struct Browser;

#[derive(Debug)]
struct Checked {
    identity: Arc<Identity>,
    at: Instant,
    /// When the hub last did not answer.
    failed: Option<Instant>,
}

/// Whether somebody is still logged in.
#[derive(Debug)]
pub(super) enum Word {
    /// As this one.
    LoggedIn(Arc<Identity>),
    /// Not any more.
    LoggedOut,
    /// The hub did not say so for too long.
    Unknown,
}

/// Text of so many random bytes that nobody guesses it.
pub(super) fn random_text() -> Secret {
    let bytes: [u8; 32] = rand::random();
    Secret::new(&URL_SAFE_NO_PAD.encode(bytes))
}

fn digest(id: &str) -> [u8; 32] {
    Sha256::digest(id.as_bytes()).into()
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            by_digest: Mutex::default(),
            logins: Questions::new(LOGINS_AT_ONCE, LOGINS_PER_SECOND),
        }
    }
}

impl Sessions {
    /// Whether the hub may be asked about one more login: nothing shows before that a browser did not
    /// make it up.
    pub(super) fn take_login(&self) -> Result<(), TooMany> {
        self.logins.take()
    }

    /// Begins a session for whom the token belongs to; gives the id for the cookie.
    ///
    /// Pages of theirs that the browser shows already go on as they are: any script can lead a browser
    /// through a login, and must not take somebody's work from them. Pages of whoever was `before`
    /// at the browser end.
    pub(super) fn begin(
        &self,
        token: Secret,
        identity: Identity,
        before: Option<&Session>,
    ) -> Secret {
        let id = random_text();
        let now = Instant::now();
        let name = identity.name.clone();
        let page_token = random_text();
        let theirs = before.filter(|before| before.user == name);
        if let Some(other) = before.filter(|before| before.user != name) {
            self.end_all_of_browser(other);
        }
        let session = Session {
            user: name.clone(),
            browser: theirs.map_or_else(|| Arc::new(Browser), |it| Arc::clone(&it.browser)),
            token,
            page_digest: digest(page_token.expose()),
            page_token,
            begun: now,
            last_used: Mutex::new(now),
            last_look: LastLook::default(),
            checked: AsyncMutex::new(Checked {
                identity: Arc::new(identity),
                at: now,
                failed: None,
            }),
        };
        let mut all = self.all();
        all.retain(|_, session| session.idle() < IDLE);
        let is_theirs = |session: &Arc<Session>| session.user == name;
        while all.values().filter(|session| is_theirs(session)).count() >= MOST_OF_ONE {
            remove_idlest(&mut all, is_theirs);
        }
        if all.len() >= MOST {
            remove_idlest(&mut all, |_| true);
        }
        all.insert(digest(id.expose()), Arc::new(session));
        id
    }

    /// The session of this cookie.
    pub(super) fn get(&self, id: &str) -> Option<Arc<Session>> {
        let session = self.all().get(&digest(id)).cloned();
        session.filter(|session| session.idle() < IDLE)
    }

    /// The session whose pages carry this token.
    pub(super) fn of_page(&self, token: &str) -> Option<Arc<Session>> {
        let digest = digest(token);
        let all = self.all();
        let found = all.values().find(|session| session.page_digest == digest);
        found.filter(|session| session.idle() < IDLE).cloned()
    }

    /// Ends it.
    pub(super) fn end(&self, session: &Arc<Session>) {
        self.all().retain(|_, known| !Arc::ptr_eq(known, session));
    }

    /// Ends it, and with it the logins of its browser before.
    pub(super) fn end_all_of_browser(&self, session: &Session) {
        let is_other = |known: &Session| !Arc::ptr_eq(&known.browser, &session.browser);
        self.all().retain(|_, known| is_other(known));
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.by_digest
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn remove_idlest(all: &mut All, fits: impl Fn(&Arc<Session>) -> bool) {
    let fitting = all.iter().filter(|(_, session)| fits(session));
    let idlest = fitting.max_by_key(|(_, session)| session.idle());
    if let Some(key) = idlest.map(|(key, _)| *key) {
        all.remove(&key);
    }
}

impl Session {
    /// What pages of ours send along, and others cannot know.
    pub(super) fn page_token(&self) -> &Secret {
        &self.page_token
    }

    /// Whom they looked at last.
    pub(super) fn last_look(&self) -> &LastLook {
        &self.last_look
    }

    /// When somebody logged in.
    pub(super) fn begun(&self) -> Instant {
        self.begun
    }

    /// Whose it is, as the hub says it or said it shortly before.
    pub(super) async fn ask(&self, hub: &HubClient) -> Word {
        *self.used() = Instant::now();
        let mut checked = self.checked.lock().await;
        if checked.at.elapsed() < BELIEVED {
            return Word::LoggedIn(Arc::clone(&checked.identity));
        }
        let is_waiting = checked
            .failed
            .is_some_and(|failed| failed.elapsed() < ASKED_AGAIN_AFTER);
        if !is_waiting {
            match tokio::time::timeout(PATIENCE, hub.whoami_with(&self.token)).await {
                Ok(Ok(identity)) => {
                    *checked = Checked {
                        identity: Arc::new(identity),
                        at: Instant::now(),
                        failed: None,
                    };
                }
                Ok(Err(error)) if error.kind() == ErrorKind::BadToken => return Word::LoggedOut,
                Ok(Err(_)) | Err(_) => checked.failed = Some(Instant::now()),
            }
        }
        if checked.at.elapsed() < TRUSTED_WITHOUT_THE_HUB {
            Word::LoggedIn(Arc::clone(&checked.identity))
        } else {
            Word::Unknown
        }
    }

    fn idle(&self) -> Duration {
        self.used().elapsed()
    }

    fn used(&self) -> MutexGuard<'_, Instant> {
        self.last_used
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(name: &str) -> Identity {
        Identity {
            name: name.to_owned(),
            kind: "user".to_owned(),
            admin: false,
            scopes: Vec::new(),
        }
    }

    #[test]
    fn a_session_is_found_by_its_id_alone() {
        let sessions = Sessions::default();
        let ada = sessions.begin(Secret::new("t1"), identity("ada"), None);
        let ben = sessions.begin(Secret::new("t2"), identity("ben"), None);
        assert!(ada.expose() != ben.expose() && ada.expose().len() >= 43);
        let page_token = |id: &Secret| sessions.get(id.expose()).unwrap().page_token().clone();
        assert!(page_token(&ada) != page_token(&ben));
        assert!(sessions.get("made up").is_none() && sessions.get("").is_none());
        let found = sessions.of_page(page_token(&ben).expose()).unwrap();
        assert!(Arc::ptr_eq(&found, &sessions.get(ben.expose()).unwrap()));
        assert!(sessions.of_page("").is_none() && sessions.of_page(ben.expose()).is_none());
        sessions.end(&sessions.get(ada.expose()).unwrap());
        assert!(sessions.get(ada.expose()).is_none());
        assert!(sessions.get(ben.expose()).is_some());
    }

    #[test]
    fn logins_of_a_browser_end_together_or_when_somebody_else_logs_in() {
        let sessions = Sessions::default();
        let begin = |name: &str, before: Option<&Secret>| {
            let before = before.and_then(|id| sessions.get(id.expose()));
            sessions.begin(Secret::new("t"), identity(name), before.as_deref())
        };
        let is_there = |id: &Secret| sessions.get(id.expose()).is_some();
        let elsewhere = begin("ada", None);
        let first = begin("ada", None);
        let second = begin("ada", Some(&first));
        let third = begin("ada", Some(&second));
        assert!(is_there(&first) && is_there(&second));
        sessions.end(&sessions.get(second.expose()).unwrap());
        assert!(is_there(&first) && !is_there(&second) && is_there(&third));
        let last = begin("ben", Some(&third));
        assert!(!is_there(&first) && !is_there(&third));
        let again = begin("ben", Some(&last));
        sessions.end_all_of_browser(&sessions.get(again.expose()).unwrap());
        assert!(!is_there(&last) && !is_there(&again));
        assert!(is_there(&elsewhere));
    }

    #[test]
    fn nobody_has_sessions_without_end() {
        let sessions = Sessions::default();
        let ben = sessions.begin(Secret::new("t"), identity("ben"), None);
        let ids: Vec<Secret> = (0..MOST_OF_ONE + 5)
            .map(|_| sessions.begin(Secret::new("t"), identity("ada"), None))
            .collect();
        let is_there = |id: &&Secret| sessions.get(id.expose()).is_some();
        assert_eq!(ids.iter().filter(is_there).count(), MOST_OF_ONE);
        assert!(sessions.get(ids.last().unwrap().expose()).is_some());
        assert!(is_there(&&ben));
    }
}
