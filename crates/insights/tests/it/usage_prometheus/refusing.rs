//! A Prometheus that cannot answer about one hour: a server before the real one.

use crate::support::{block_on, http};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What Prometheus says of a query that reads more than `--query.max-samples`.
const TOO_MUCH: &str = r#"{"status":"error","errorType":"execution","error":"query processing would load too many samples into memory in query execution"}"#;

pub(crate) struct Refusing {
    /// Ends in a slash.
    pub(crate) url: String,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    /// Of the real one.
    url: String,
    /// End of the hour that it cannot answer about.
    hour_end: i64,
    refuses: AtomicBool,
}

impl Refusing {
    pub(crate) fn start(url: &str, hour_end: i64) -> Self {
        let shared = Arc::new(Shared {
            url: url.to_owned(),
            hour_end,
            refuses: AtomicBool::new(true),
        });
        let router = Router::new()
            .fallback(pass_on)
            .with_state(Arc::clone(&shared));
        let (url, task) = block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}/", listener.local_addr().unwrap());
            let serve = async move { axum::serve(listener, router).await.unwrap() };
            (url, tokio::spawn(serve))
        });
        Self { url, shared, task }
    }

    pub(crate) fn stop_refusing(&self) {
        self.shared.refuses.store(false, Ordering::Relaxed);
    }
}

impl Drop for Refusing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    /// Whether an answer would have a value at the end of the hour; not if it begins with that, as
    /// questions about the next hour do that need the value before.
    fn refuses(&self, form: &str) -> bool {
        let seconds = |name: &str| {
            let mut pairs = url::form_urlencoded::parse(form.as_bytes());
            let value = pairs.find(|(key, _)| key == name)?.1;
            let (whole, _) = value.split_once('.').unwrap_or((&value, ""));
            whole.parse::<i64>().ok()
        };
        let (Some(start), Some(end)) = (seconds("start"), seconds("end")) else {
            return false;
        };
        let is_in_it = start <= self.hour_end && self.hour_end <= end;
        let begins_with_it = start == self.hour_end && end > self.hour_end;
        self.refuses.load(Ordering::Relaxed) && is_in_it && !begins_with_it
    }
}

async fn pass_on(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let body = axum::body::to_bytes(request.into_body(), 1 << 20)
        .await
        .unwrap();
    if shared.refuses(std::str::from_utf8(&body).unwrap()) {
        return (StatusCode::UNPROCESSABLE_ENTITY, json, TOO_MUCH).into_response();
    }
    let reply = http()
        .post(format!("{}{path}", shared.url))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(body)
        .send()
        .await
        .unwrap();
    let status = StatusCode::from_u16(reply.status().as_u16()).unwrap();
    (status, json, reply.bytes().await.unwrap()).into_response()
}
