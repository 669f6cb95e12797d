//! Which answers are computed, and how often: each computation gives an answer of its own.

use super::*;
use jiff::Timestamp;
use std::collections::HashSet;
use store::{Folder, Keeper, KeeperSettings, Store};

fn clock() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

/// The answers of a hub with a history of nothing.
struct Desk {
    answers: Answers,
    _keeper: Keeper,
    _folder: tempfile::TempDir,
}

impl Desk {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Folder::prepare(&folder.path().join("store")).unwrap()).unwrap();
        let settings = KeeperSettings::new("hub".into(), TimeZone::UTC, clock);
        let keeper = store.try_keep(settings).await.unwrap().unwrap();
        Self {
            answers: Answers::new(&Config::default(), Arc::new(Asker::new(store))),
            _keeper: keeper,
            _folder: folder,
        }
    }

    async fn answer(&self, request: &Request) -> Arc<Answer> {
        self.answers.answer(request).await.unwrap()
    }
}

/// About a month that is over.
fn request(name: &str) -> Request {
    Request {
        name: name.to_owned(),
        from: Some("2026-01-01".to_owned()),
        to: Some("2026-01-31".to_owned()),
        ..Request::default()
    }
}

fn n_different(answers: &[Arc<Answer>]) -> usize {
    let places: HashSet<_> = answers.iter().map(Arc::as_ptr).collect();
    places.len()
}

#[tokio::test]
async fn equal_questions_at_once_are_computed_once() {
    let desk = Desk::new().await;
    let request = request("active-users");
    let questions = (0..8).map(|_| desk.answer(&request));
    let mut answers = futures::future::join_all(questions).await;
    answers.push(desk.answer(&request).await);
    assert_eq!(answers.len(), 9);
    assert_eq!(n_different(&answers), 1);
}

#[tokio::test]
async fn other_questions_have_other_answers() {
    let desk = Desk::new().await;
    let mut requests = vec![request("active-users"), request("stickiness")];
    requests.push(Request {
        user: Some("ada".to_owned()),
        ..request("active-users")
    });
    requests.push(Request {
        to: Some("2026-01-30".to_owned()),
        ..request("active-users")
    });
    requests.push(request("active-users-calendar"));
    requests.push(Request {
        choices: BTreeMap::from([("by".to_owned(), "week".to_owned())]),
        ..request("active-users-calendar")
    });
    let questions = requests.iter().map(|request| desk.answer(request));
    let answers = futures::future::join_all(questions).await;
    assert_eq!(n_different(&answers), requests.len());
}

#[tokio::test]
async fn a_question_that_cannot_be_answered_is_not_kept() {
    let desk = Desk::new().await;
    let wrong = Request {
        hub: Some("elsewhere".to_owned()),
        ..request("active-users")
    };
    for _ in 0..2 {
        assert!(desk.answers.answer(&wrong).await.is_err());
    }
    desk.answers.kept.run_pending_tasks().await;
    assert_eq!(desk.answers.kept.entry_count(), 0);
}

#[tokio::test]
async fn a_tag_brings_the_answer_to_its_own_question_only() {
    let desk = Desk::new().await;
    let (sessions, logins) = (request("sessions"), request("logins"));
    let tag = desk.answers.ask(&sessions).await.unwrap().tag;
    desk.answer(&sessions).await;
    let pending = desk.answers.ask(&sessions).await.unwrap();
    assert!(desk.answers.kept(&tag, &pending).await.is_some());
    let other = desk.answers.ask(&logins).await.unwrap();
    assert!(desk.answers.kept(&tag, &other).await.is_none());
    let of_user = Request {
        user: Some("ada".to_owned()),
        ..sessions
    };
    let other = desk.answers.ask(&of_user).await.unwrap();
    assert!(desk.answers.kept(&tag, &other).await.is_none());
}
