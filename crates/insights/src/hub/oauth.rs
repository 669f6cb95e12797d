//! Logging in at the hub: where a browser is sent, and what a code that it brings back is worth.
//!
//! The hub is an OAuth provider with PKCE and without refresh tokens. It does not ask for a state, so
//! whoever calls this must check it. What a token may do is asked with
//! [`super::HubClient::whoami_with`].

use super::client::HubClient;
use super::error::HubError;
use crate::config::{LoginConfig, Secret};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::StatusCode;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use url::Url;

/// Our client at the hub.
#[derive(Clone, Debug)]
pub struct OAuthClient {
    client_id: String,
    callback: String,
    hub: String,
}

/// One attempt to log in.
#[derive(Clone, Debug)]
pub struct Login {
    /// What the browser has to bring back.
    pub state: Secret,
    /// What proves that the code was made for us (RFC 7636).
    pub verifier: Secret,
}

/// What became of a code.
#[derive(Debug)]
pub enum CodeExchange {
    /// A token of whoever logged in.
    Token(Secret),
    /// The code is no good: used, too old, or made up.
    Refused,
}

#[derive(Deserialize)]
struct TokenReply {
    access_token: String,
}

impl OAuthClient {
    /// Our client, if the configuration names it.
    pub fn of(config: &LoginConfig) -> Option<Self> {
        let base = config.hub_url.as_deref()?.trim_end_matches('/');
        Some(Self {
            client_id: config.client_id.clone()?,
            callback: config.callback_url.clone()?,
            hub: format!("{base}/hub/"),
        })
    }

    /// Where the hub's own pages are for a browser, for instance `/hub/`.
    pub fn hub(&self) -> &str {
        &self.hub
    }

    /// Where a browser is sent to log in; relative to our host where the hub shares it.
    pub fn authorize_url(&self, login: &Login) -> String {
        let digest = Sha256::digest(login.verifier.expose().as_bytes());
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", &self.client_id)
            .append_pair("redirect_uri", &self.callback)
            .append_pair("response_type", "code")
            .append_pair("state", login.state.expose())
            .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(digest))
            .append_pair("code_challenge_method", "S256")
            .finish();
        format!("{}api/oauth2/authorize?{query}", self.hub)
    }

    /// Whether browsers speak https to the hub and so to us, as far as addresses say it.
    pub fn is_https(&self) -> bool {
        let is_https = |text: &str| Url::parse(text).is_ok_and(|url| url.scheme() == "https");
        is_https(&self.callback) || is_https(&self.hub)
    }
}

impl HubClient {
    /// Asks the hub for the token that a code stands for.
    pub async fn exchange(
        &self,
        client: &OAuthClient,
        login: &Login,
        code: &str,
    ) -> Result<CodeExchange, HubError> {
        let path = "oauth2/token";
        let url = self.api.join(path).expect("our own paths are valid");
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", &client.client_id)
            .append_pair("client_secret", self.token.expose())
            .append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", &client.callback)
            .append_pair("code_verifier", login.verifier.expose())
            .finish();
        let request = self
            .http
            .post(url)
            .timeout(self.timeout)
            .header(
                reqwest::header::CONTENT_TYPE,
                "application/x-www-form-urlencoded",
            )
            .body(form);
        let outcome = request.send().await;
        let status = outcome.as_ref().ok().map(|reply| reply.status().as_u16());
        self.log.record("oauth2/token", status);
        let unreachable = |source: reqwest::Error| HubError::Unreachable {
            url: self.api.to_string(),
            source: source.without_url(),
        };
        let reply = outcome.map_err(unreachable)?;
        match reply.status() {
            StatusCode::OK => {
                let bytes = reply.bytes().await.map_err(unreachable)?;
                let reply: TokenReply = super::client::parse(path, &bytes)?;
                Ok(CodeExchange::Token(Secret::new(&reply.access_token)))
            }
            // `invalid_grant`: the code, not us.
            StatusCode::BAD_REQUEST => Ok(CodeExchange::Refused),
            StatusCode::UNAUTHORIZED => Err(HubError::BadClient {
                client: client.client_id.clone(),
            }),
            status => Err(HubError::Status {
                path: path.to_owned(),
                status: status.as_u16(),
                message: "no token for somebody who logs in".to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(hub_url: &str) -> OAuthClient {
        let config = LoginConfig {
            client_id: Some("service-insights".to_owned()),
            callback_url: Some("/services/insights/oauth_callback".to_owned()),
            hub_url: Some(hub_url.to_owned()),
            scopes: Vec::new(),
        };
        OAuthClient::of(&config).unwrap()
    }

    #[test]
    fn a_browser_is_sent_to_the_hub_with_a_challenge() {
        // The verifier and challenge of RFC 7636, appendix B.
        let login = Login {
            state: Secret::new("a&b"),
            verifier: Secret::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
        };
        assert_eq!(
            client("/jupyter/").authorize_url(&login),
            "/jupyter/hub/api/oauth2/authorize?client_id=service-insights\
             &redirect_uri=%2Fservices%2Finsights%2Foauth_callback&response_type=code&state=a%26b\
             &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256"
        );
        let elsewhere = client("https://hub.example.org");
        assert!(
            elsewhere
                .authorize_url(&login)
                .starts_with("https://hub.example.org/hub/api/oauth2/authorize?")
        );
        assert!(elsewhere.is_https() && !client("/").is_https());
    }
}
