//! Replies of a server in, rows out.

mod asking;
mod hours;
mod looks;
mod support;
