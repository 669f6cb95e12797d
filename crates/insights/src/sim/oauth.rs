//! What the simulated hub knows of logins: the services that people log in to, codes that are on their
//! way, and tokens that were given for them. Addresses and pages do not belong here.
//!
//! The order of the checks, and what each says, is that of a real hub of series 6.

use super::world::World;
use crate::config::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::names::UserName;
use sha2::{Digest as _, Sha256};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A code is good for so long.
const CODE_LASTS: Duration = Duration::from_mins(10);
/// Codes that are kept; of more, the oldest is forgotten.
const MOST_CODES: usize = 1000;
/// Tokens of visitors that are kept; of more, the oldest ends.
const MOST_TOKENS: usize = 2000;
/// Seconds that a token is said to last.
pub(super) const TOKEN_SECONDS: u32 = 1_209_600;

/// A service that people log in to with a browser.
#[derive(Clone, Debug)]
pub struct ServiceClient {
    /// Its OAuth client, `service-` and its name.
    pub client_id: String,
    /// Its token.
    pub secret: Secret,
    /// Where people are sent back to: a path, or an address at 127.0.0.1.
    pub redirect_uri: String,
}

impl ServiceClient {
    /// Of the service, as the hub calls it.
    pub(super) fn name(&self) -> &str {
        self.client_id
            .strip_prefix("service-")
            .unwrap_or(&self.client_id)
    }

    /// Where its pages begin.
    pub(super) fn home(&self) -> &str {
        let end = self.redirect_uri.rfind('/').map_or(0, |slash| slash + 1);
        &self.redirect_uri[..end]
    }

    /// A hub without passwords must not let anybody in elsewhere.
    fn is_on_this_machine(&self) -> bool {
        let uri = self.redirect_uri.as_str();
        let is_path = uri.starts_with('/') && !uri.starts_with("//") && !uri.contains('\\');
        let rest = uri.strip_prefix("http://127.0.0.1");
        is_path || rest.is_some_and(|rest| rest.starts_with([':', '/']) && !rest.contains('@'))
    }
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Logins {
    clients: Vec<ServiceClient>,
    codes: VecDeque<Code>,
    tokens: VecDeque<String>,
    /// Who is offered to log in as; chosen once, since servers come and go.
    pub(super) cast: Vec<UserName>,
}

/// What a browser brings to the service.
#[derive(Debug)]
struct Code {
    text: String,
    client_id: String,
    visit: Visit,
    challenge: Option<Challenge>,
    made: Instant,
}

/// Who logged in, with which browser.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    pub(super) user: UserName,
    pub(super) session_id: String,
}

/// What the verifier of whoever brings the code must fit (RFC 7636).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    Plain(String),
    Sha256(String),
}

impl Challenge {
    fn fits(&self, verifier: &str) -> bool {
        match self {
            Self::Plain(expected) => expected == verifier,
            Self::Sha256(expected) => {
                *expected == URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
            }
        }
    }
}

/// What a service sends to have a token for a code; `None` is absent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TokenRequest<'a> {
    pub(super) grant_type: Option<&'a str>,
    pub(super) client_id: Option<&'a str>,
    pub(super) client_secret: Option<&'a str>,
    pub(super) code: Option<&'a str>,
    pub(super) code_verifier: Option<&'a str>,
    pub(super) redirect_uri: Option<&'a str>,
}

/// What it gets.
#[derive(Clone, Debug)]
pub(super) struct Granted {
    pub(super) token: String,
    pub(super) service: String,
}

/// Why it gets none, in the words of RFC 6749.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotGranted {
    UnsupportedGrantType,
    InvalidClient,
    InvalidGrant,
    InvalidRequest(&'static str),
}

impl Logins {
    pub(super) fn register(&mut self, client: ServiceClient) {
        self.clients
            .retain(|known| known.client_id != client.client_id);
        self.clients.push(client);
    }

    /// The service of this id, if it is where this hub lets people in.
    pub(super) fn client(&self, id: &str) -> Option<&ServiceClient> {
        let client = self.clients.iter().find(|client| client.client_id == id);
        client.filter(|client| client.is_on_this_machine())
    }

    /// Services that people can log in to.
    pub(super) fn clients(&self) -> &[ServiceClient] {
        &self.clients
    }

    /// A code with which the service learns of this visit.
    pub(super) fn begin(
        &mut self,
        client_id: &str,
        visit: Visit,
        challenge: Option<Challenge>,
        now: Instant,
    ) -> String {
        let text = random_text();
        self.codes.retain(|code| now - code.made < CODE_LASTS);
        if self.codes.len() >= MOST_CODES {
            self.codes.pop_front();
        }
        self.codes.push_back(Code {
            text: text.clone(),
            client_id: client_id.to_owned(),
            visit,
            challenge,
            made: now,
        });
        text
    }

    /// Gives a token for a code, once. A wrong secret or verifier does not use the code up.
    pub(super) fn grant(
        &mut self,
        world: &mut World,
        request: TokenRequest<'_>,
        now: Instant,
    ) -> Result<Granted, NotGranted> {
        if request.grant_type != Some("authorization_code") {
            return Err(NotGranted::UnsupportedGrantType);
        }
        let code = request.code;
        let code = code.ok_or(NotGranted::InvalidRequest("Missing code parameter."))?;
        let client = request.client_id.and_then(|id| self.client(id));
        let client = client.ok_or(NotGranted::InvalidClient)?;
        let secret = request.client_secret.unwrap_or_default();
        if !client.secret.matches(secret) {
            return Err(NotGranted::InvalidClient);
        }
        let is_it = |known: &Code| {
            let is_young = now - known.made < CODE_LASTS;
            known.text == code && known.client_id == client.client_id && is_young
        };
        let index = self
            .codes
            .iter()
            .position(is_it)
            .ok_or(NotGranted::InvalidGrant)?;
        verify(self.codes[index].challenge.as_ref(), request.code_verifier)?;
        if request
            .redirect_uri
            .is_some_and(|uri| uri != client.redirect_uri)
        {
            return Err(NotGranted::InvalidRequest("Mismatching redirect URI."));
        }
        let service = client.name().to_owned();
        let Some(code) = self.codes.remove(index) else {
            return Err(NotGranted::InvalidGrant);
        };
        let token = random_text();
        let Visit { user, session_id } = &code.visit;
        world.add_visit(&token, &service, user, session_id);
        if self.tokens.len() >= MOST_TOKENS {
            self.tokens.pop_front().iter().for_each(|oldest| {
                world.remove_token(oldest);
            });
        }
        self.tokens.push_back(token.clone());
        Ok(Granted { token, service })
    }

    /// Forgets the codes of a browser that logs out.
    pub(super) fn end(&mut self, session_id: &str) {
        self.codes
            .retain(|code| code.visit.session_id != session_id);
    }
}

fn verify(challenge: Option<&Challenge>, verifier: Option<&str>) -> Result<(), NotGranted> {
    let Some(challenge) = challenge else {
        return Ok(());
    };
    let verifier = verifier.ok_or(NotGranted::InvalidRequest("Code verifier required."))?;
    if challenge.fits(verifier) {
        Ok(())
    } else {
        Err(NotGranted::InvalidGrant)
    }
}

/// Text that nobody guesses.
pub(super) fn random_text() -> String {
    let bytes: [u8; 24] = rand::random();
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "service-insights";

    fn client(redirect_uri: &str) -> ServiceClient {
        ServiceClient {
            client_id: ID.to_owned(),
            secret: Secret::new("s3cret"),
            redirect_uri: redirect_uri.to_owned(),
        }
    }

    fn logins() -> Logins {
        let mut logins = Logins::default();
        logins.register(client("/back"));
        logins
    }

    fn visit() -> Visit {
        Visit {
            user: UserName::from("ada"),
            session_id: "browser".to_owned(),
        }
    }

    fn request(code: &str) -> TokenRequest<'_> {
        TokenRequest {
            grant_type: Some("authorization_code"),
            client_id: Some(ID),
            client_secret: Some("s3cret"),
            code: Some(code),
            ..TokenRequest::default()
        }
    }

    #[test]
    fn a_code_is_good_once_and_for_ten_minutes() {
        let (mut logins, mut world, now) = (logins(), World::empty(), Instant::now());
        let code = logins.begin(ID, visit(), None, now);
        let wrong = TokenRequest {
            client_secret: Some("wrong"),
            ..request(&code)
        };
        let outcome = logins.grant(&mut world, wrong, now).map(|_| ());
        assert_eq!(outcome, Err(NotGranted::InvalidClient));
        let granted = logins.grant(&mut world, request(&code), now).unwrap();
        assert!(world.tokens.contains_key(&granted.token));
        let again = logins.grant(&mut world, request(&code), now).map(|_| ());
        assert_eq!(again, Err(NotGranted::InvalidGrant));
        let old = logins.begin(ID, visit(), None, now);
        let late = logins.grant(&mut world, request(&old), now + CODE_LASTS);
        assert_eq!(late.map(|_| ()), Err(NotGranted::InvalidGrant));
        world.end_session("browser");
        assert!(world.tokens.is_empty());
    }

    #[test]
    fn codes_and_tokens_are_bounded() {
        let (mut logins, mut world, now) = (logins(), World::empty(), Instant::now());
        let oldest = logins.begin(ID, visit(), None, now);
        for _ in 0..MOST_CODES {
            logins.begin(ID, visit(), None, now);
        }
        assert_eq!(logins.codes.len(), MOST_CODES);
        assert!(logins.grant(&mut world, request(&oldest), now).is_err());
        let mut logins = self::logins();
        for _ in 0..MOST_TOKENS + 10 {
            let code = logins.begin(ID, visit(), None, now);
            logins.grant(&mut world, request(&code), now).unwrap();
        }
        assert_eq!(world.tokens.len(), MOST_TOKENS);
    }

    #[test]
    fn a_verifier_must_fit() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let digest = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".to_owned();
        let check = |challenge, verifier| verify(Some(&challenge), verifier);
        let sha256 = Challenge::Sha256(digest.clone());
        assert_eq!(check(sha256.clone(), Some(verifier)), Ok(()));
        assert_eq!(
            check(sha256.clone(), Some(&digest)),
            Err(NotGranted::InvalidGrant)
        );
        assert!(check(sha256, None).is_err());
        assert_eq!(check(Challenge::Plain("a".to_owned()), Some("a")), Ok(()));
    }

    #[test]
    fn people_are_sent_back_to_this_machine_only() {
        let is_here = |uri: &str| client(uri).is_on_this_machine();
        for uri in [
            "/back",
            "http://127.0.0.1:8800/x/back",
            "http://127.0.0.1/back",
        ] {
            assert!(is_here(uri), "{uri}");
        }
        for uri in [
            "",
            "back",
            "//example.org/back",
            "/\\example.org",
            "http://127.0.0.1.example.org/back",
            "http://127.0.0.1:8800@example.org/back",
            "https://example.org/back",
            "javascript:alert(1)",
        ] {
            assert!(!is_here(uri), "{uri}");
        }
        assert_eq!(
            client("http://127.0.0.1:8800/x/back").home(),
            "http://127.0.0.1:8800/x/"
        );
    }
}
