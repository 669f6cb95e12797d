//! Somebody in front of a browser: keeps cookies, follows redirects, fills in the login form.

use super::{RealHub, block_on, http};
use reqwest::Method;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use std::collections::BTreeMap;
use std::time::Duration;
use url::Url;

/// Of all users of the test hubs.
const PASSWORD: &str = "correct horse";

/// A browser that was just opened.
pub(crate) struct Browser<'a> {
    /// Of the hub, ends in its base URL.
    hub_url: &'a str,
    /// By path and name.
    cookies: BTreeMap<(String, String), String>,
}

/// What it shows in the end.
pub(crate) struct Shown {
    pub(crate) status: u16,
    pub(crate) url: Url,
    pub(crate) text: String,
}

/// An answer on the way.
pub(crate) struct Step {
    url: Url,
    response: reqwest::Response,
}

impl Step {
    /// Where it leads.
    pub(crate) fn location(&self) -> Option<Url> {
        let location = self.response.headers().get(LOCATION)?;
        Some(self.url.join(location.to_str().unwrap()).unwrap())
    }

    pub(crate) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// Of a header, empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.response.headers().get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    /// The answer itself.
    pub(crate) fn shown(self) -> Shown {
        Shown {
            status: self.response.status().as_u16(),
            url: self.url,
            text: block_on(self.response.text()).unwrap(),
        }
    }
}

impl<'a> Browser<'a> {
    pub(crate) fn new(hub: &'a RealHub) -> Self {
        Self::at(&hub.url)
    }

    /// The same in front of any hub.
    pub(crate) fn at(hub_url: &'a str) -> Self {
        Self {
            hub_url,
            cookies: BTreeMap::new(),
        }
    }

    /// Opens a path below the hub's base URL.
    pub(crate) fn open(&mut self, path: &str) -> Shown {
        let url: Url = format!("{}{path}", self.hub_url).parse().unwrap();
        self.go(Method::GET, url, None)
    }

    /// Fills in the login form; the hub answers as its version does.
    pub(crate) fn log_in(&mut self, user: &str, password: Option<&str>) -> Shown {
        self.open("hub/login");
        let password = password.unwrap_or(PASSWORD);
        let mut form = vec![
            ("username", user.to_owned()),
            ("password", password.to_owned()),
        ];
        let xsrf = self.cookies.iter().find(|((_, name), _)| name == "_xsrf");
        form.extend(xsrf.map(|(_, value)| ("_xsrf", value.clone())));
        // Else the hub starts a server.
        let mut url: Url = format!("{}hub/login", self.hub_url).parse().unwrap();
        let target = format!("{}hub/token", Url::parse(self.hub_url).unwrap().path());
        url.query_pairs_mut().append_pair("next", &target);
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        self.go(Method::POST, url, Some(body))
    }

    pub(crate) fn log_out(&mut self) -> Shown {
        self.open("hub/logout")
    }

    fn go(&mut self, method: Method, url: Url, form: Option<String>) -> Shown {
        let (mut method, mut url, mut form) = (method, url, form);
        for _ in 0..20 {
            let reply = self.step(method, &url, form.take());
            let Some(location) = reply.location() else {
                return reply.shown();
            };
            url = location;
            method = Method::GET;
        }
        panic!("too many redirects, the last one to {url}");
    }

    /// Opens an address as a person does, and does not go where it leads.
    pub(crate) fn step(&mut self, method: Method, url: &Url, form: Option<String>) -> Step {
        let mut request = http()
            .request(method, url.clone())
            // People wait for longer than tests of the API.
            .timeout(Duration::from_mins(1))
            .header(COOKIE, self.cookies_for(url))
            .header("accept", "text/html,*/*;q=0.8")
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", "document");
        if let Some(form) = form {
            request = request
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form);
        }
        let response = block_on(request.send()).unwrap();
        self.keep_cookies(&response);
        let url = url.clone();
        Step { url, response }
    }

    /// The cookies that go to this address, as they are sent.
    pub(crate) fn cookies_for(&self, url: &Url) -> String {
        let fitting = self
            .cookies
            .iter()
            .filter(|((path, _), _)| url.path().starts_with(path));
        let pairs = fitting.map(|((_, name), value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }

    fn keep_cookies(&mut self, response: &reqwest::Response) {
        for cookie in response.headers().get_all(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
            let (name, value) = pair.split_once('=').unwrap();
            let path = attributes.split(';').find_map(|attribute| {
                let (key, value) = attribute.trim().split_once('=')?;
                key.eq_ignore_ascii_case("path").then(|| value.to_owned())
            });
            let key = (path.unwrap_or_else(|| "/".to_owned()), name.to_owned());
            let value = value.trim_matches('"');
            if value.is_empty() || attributes.contains("Max-Age=0") {
                self.cookies.remove(&key);
            } else {
                self.cookies.insert(key, value.to_owned());
            }
        }
    }
}
