//! Requests as browsers, pages and programs send them, and what comes back.

use crate::support::{Browser, block_on, http};
use reqwest::header::{ACCEPT, CONTENT_TYPE, COOKIE};
use reqwest::{Method, RequestBuilder};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use url::Url;

/// More would be refused by the service, which is busy then.
const AT_ONCE: usize = 3;
/// A service that is busy is asked again.
const TRIES: usize = 30;

/// What a request has to show for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// A person opens an address: a cookie.
    Person,
    /// A page of ours fetches it: its token.
    Page,
    /// A program: a token of the hub.
    Program,
}

/// Somebody with all of these.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) role: &'static str,
    pub(crate) cookie: String,
    pub(crate) page_token: String,
    pub(crate) token: String,
}

impl Credentials {
    /// Nobody in particular.
    pub(crate) fn none(role: &'static str) -> Self {
        Self {
            role,
            cookie: String::new(),
            page_token: String::new(),
            token: String::new(),
        }
    }

    /// Logs in and opens their page; the token is given.
    pub(crate) fn of(
        role: &'static str,
        browser: &mut Browser<'_>,
        user: &str,
        token: &str,
    ) -> Self {
        browser.log_in(user, None);
        let page = browser.open("services/insights/me");
        assert_eq!(page.status, 200, "{user}: {}", page.text);
        let page_token = between(&page.text, "name=\"page-token\" content=\"", "\"");
        Self {
            role,
            cookie: browser.cookies_for(&page.url),
            page_token: page_token.to_owned(),
            token: token.to_owned(),
        }
    }

    fn put(&self, request: RequestBuilder, way: Way) -> RequestBuilder {
        match way {
            Way::Person => request
                .header("sec-fetch-dest", "document")
                .header("sec-fetch-mode", "navigate")
                .header(COOKIE, &self.cookie),
            Way::Page => request
                .header("origin", "null")
                .header("sec-fetch-dest", "empty")
                .header("sec-fetch-mode", "cors")
                .header("x-insights-page", &self.page_token),
            Way::Program if self.token.is_empty() => request,
            Way::Program => request.bearer_auth(&self.token),
        }
    }
}

/// What stands between two texts.
#[track_caller]
pub(crate) fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    let found = text
        .split_once(begin)
        .and_then(|(_, rest)| rest.split_once(end));
    found.unwrap_or_else(|| panic!("no {begin:?} in {text}")).0
}

/// One request.
#[derive(Clone)]
pub(crate) struct Question {
    pub(crate) who: Arc<Credentials>,
    pub(crate) way: Way,
    pub(crate) method: Method,
    /// Below the prefix, with its query.
    pub(crate) path: String,
    pub(crate) accept: &'static str,
    /// Of a POST.
    pub(crate) body: Option<String>,
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            who,
            way,
            method,
            path,
            accept,
            ..
        } = self;
        write!(f, "{} as {way:?}, {accept}: {method} {path}", who.role)
    }
}

/// What came back.
pub(crate) struct Reply {
    pub(crate) question: Question,
    pub(crate) status: u16,
    /// Names and values of the head.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Everything in which a name could be, decoded.
    pub(crate) fn all(&self) -> String {
        format!("{}\n{}", self.head, self.text())
    }
}

/// Asks all of it, a few at once.
pub(crate) fn ask_all(prefix: &str, questions: Vec<Question>) -> Vec<Reply> {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    block_on(async {
        let mut tasks = JoinSet::new();
        for question in questions {
            let url: Url = format!("{prefix}{}", question.path).parse().unwrap();
            let room = Arc::clone(&room);
            tasks.spawn(async move {
                let _permit = room.acquire().await.unwrap();
                asked(question, url).await
            });
        }
        tasks.join_all().await
    })
}

async fn asked(question: Question, url: Url) -> Reply {
    for _ in 0..TRIES {
        let request = http().request(question.method.clone(), url.clone());
        let request = question
            .who
            .put(request, question.way)
            .header(ACCEPT, question.accept);
        let request = match &question.body {
            Some(body) => request
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(body.clone()),
            None => request,
        };
        let response = request
            .timeout(Duration::from_mins(1))
            .send()
            .await
            .unwrap();
        let status = response.status().as_u16();
        if status == 503 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            continue;
        }
        let value = |value: &reqwest::header::HeaderValue| {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        };
        let head = response.headers().iter();
        let head: Vec<String> = head
            .map(|(name, text)| format!("{name}: {}", value(text)))
            .collect();
        return Reply {
            status,
            head: head.join("\n"),
            body: response.bytes().await.unwrap().to_vec(),
            question,
        };
    }
    panic!("the service stays busy: {question}");
}
