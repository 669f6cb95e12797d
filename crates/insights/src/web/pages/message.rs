//! Pages that say one thing: what went wrong, and what to do.

use super::frame::{Frame, html};
use super::view::{ErrorPage, Link, LoginAgainPage};
use crate::answers::AnswerError;
use crate::web::Site;
use crate::web::api::ApiError;
use crate::web::visitor::Visitor;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use model::viewer::Standing;

/// To somebody of whom nothing is known.
pub(in crate::web) fn show(site: &Site, status: StatusCode, title: &str, text: &str) -> Response {
    let frame = Frame {
        site,
        visitor: None,
        path: "",
    };
    let next = Link::new("Try again", &site.config.web.prefix);
    written(frame, status, title, text, vec![next])
}

/// To somebody who is logged in.
pub(in crate::web) fn to(
    site: &Site,
    visitor: &Visitor,
    status: StatusCode,
    title: &str,
    text: &str,
) -> Response {
    let frame = Frame {
        site,
        visitor: Some(visitor),
        path: "-",
    };
    let (label, path) = match visitor.viewer.standing {
        Standing::Admin => ("Overview", ""),
        Standing::Owner => ("Your groups", "groups"),
        Standing::User => ("Your own page", "me"),
    };
    let next = Link::new(label, format!("{}{path}", site.config.web.prefix));
    written(frame, status, title, text, vec![next])
}

/// After a logout here.
pub(in crate::web) fn logged_out(site: &Site, hub_logout: &str) -> Response {
    let frame = Frame {
        site,
        visitor: None,
        path: "",
    };
    let text =
        "At the hub you still are: until you log out there, opening these pages logs you in again.";
    let next = Link::new("Log out at the hub, too", hub_logout);
    written(
        frame,
        StatusCode::OK,
        "You are logged out here",
        text,
        vec![next],
    )
}

/// A page that is for others.
pub(in crate::web) fn not_theirs(site: &Site, visitor: &Visitor, text: &str) -> Response {
    to(
        site,
        visitor,
        StatusCode::FORBIDDEN,
        "This page is not for you",
        text,
    )
}

/// What will be known in a moment.
pub(in crate::web) fn too_early(site: &Site, text: &str) -> Response {
    let title = "Try again in a moment";
    show(site, StatusCode::SERVICE_UNAVAILABLE, title, text)
}

/// An address behind which there is nothing, or nothing that they may know of.
pub(in crate::web) fn nothing_here(site: &Site, visitor: Option<&Visitor>) -> Response {
    let (title, text) = (
        "There is no such page",
        "The address may be mistyped, or what it named is gone.",
    );
    match visitor {
        Some(visitor) => to(site, visitor, StatusCode::NOT_FOUND, title, text),
        None => show(site, StatusCode::NOT_FOUND, title, text),
    }
}

/// What cannot be undone needs somebody who is surely there.
pub(in crate::web) fn log_in_anew(site: &Site, visitor: &Visitor, back_to: &str) -> Response {
    let frame = Frame {
        site,
        visitor: Some(visitor),
        path: "-",
    };
    let target = url::form_urlencoded::byte_serialize(back_to.as_bytes());
    let page = LoginAgainPage {
        layout: frame.layout("Log in once more", ""),
        text: "This cannot be undone, so it needs a login that is at most ten minutes old."
            .to_owned(),
        href: format!(
            "{}login?next={}",
            site.config.web.prefix,
            target.collect::<String>()
        ),
    };
    html(StatusCode::UNAUTHORIZED, &page)
}

/// Why there is no answer.
pub(in crate::web) fn unanswered(site: &Site, visitor: &Visitor, error: &AnswerError) -> Response {
    let (status, text) = told(error);
    let title = match status {
        StatusCode::NOT_FOUND => "There is no such thing",
        StatusCode::BAD_REQUEST => "This cannot be asked",
        StatusCode::SERVICE_UNAVAILABLE => "Too many questions at once",
        _ => "This could not be answered",
    };
    to(site, visitor, status, title, &text)
}

/// The status of an error and what it says to people.
pub(in crate::web) fn told(error: &AnswerError) -> (StatusCode, String) {
    match ApiError::from(error.clone()) {
        ApiError::Internal => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "Something went wrong here; the log of the service says what.".to_owned(),
        ),
        error => error.told(),
    }
}

fn written(
    frame: Frame<'_>,
    status: StatusCode,
    title: &str,
    text: &str,
    next: Vec<Link>,
) -> Response {
    let page = ErrorPage {
        layout: frame.layout(title, ""),
        status: status.as_u16(),
        text: text.to_owned(),
        next,
    };
    let mut response = html(status, &page);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}
