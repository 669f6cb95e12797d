//! Who takes the rows of a history.

use super::UserNews;
use std::convert::Infallible;
use store::tables::{self, Event, Membership, Observation, Storage, Usage};

/// Takes the rows of a history. Each call is one commit, of rows of any months.
pub trait HistorySink: Sync {
    /// Why rows could not be taken.
    type Error;

    /// What polls saw, and the hub, hooks in it and a BinderHub told; some rows of the hub come twice.
    fn events(&self, rows: Vec<Event>) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Sessions that ended.
    fn sessions(
        &self,
        rows: Vec<tables::Session>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Closed days.
    fn user_days(
        &self,
        rows: Vec<tables::UserDay>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Who joined and left which group, of all the time at once.
    fn memberships(
        &self,
        rows: Vec<Membership>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Numbers about the hub, of one kind after the other.
    fn observations(
        &self,
        rows: Vec<Observation>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// What servers used in hours that are over.
    fn usage(&self, rows: Vec<Usage>) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Homes on days that are over.
    fn storage(&self, rows: Vec<Storage>) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Who came to the hub and went, of all the time at once.
    fn users(&self, news: Vec<UserNews>) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Takes everything and keeps nothing.
#[derive(Clone, Copy, Debug)]
pub struct Discard;

impl HistorySink for Discard {
    type Error = Infallible;

    async fn events(&self, _: Vec<Event>) -> Result<(), Infallible> {
        Ok(())
    }

    async fn sessions(&self, _: Vec<tables::Session>) -> Result<(), Infallible> {
        Ok(())
    }

    async fn user_days(&self, _: Vec<tables::UserDay>) -> Result<(), Infallible> {
        Ok(())
    }

    async fn memberships(&self, _: Vec<Membership>) -> Result<(), Infallible> {
        Ok(())
    }

    async fn observations(&self, _: Vec<Observation>) -> Result<(), Infallible> {
        Ok(())
    }

    async fn usage(&self, _: Vec<Usage>) -> Result<(), Infallible> {
        Ok(())
    }

    async fn storage(&self, _: Vec<Storage>) -> Result<(), Infallible> {
        Ok(())
    }

    async fn users(&self, _: Vec<UserNews>) -> Result<(), Infallible> {
        Ok(())
    }
}
