//! One program beside a JupyterHub that answers, with numbers that can be checked, who uses it.
//!
//! The binary is a thin shell around this library, so that tests can run the real service.

pub mod answers;
pub mod archive;
pub mod ask;
pub mod chart;
pub mod checks;
pub mod cli;
pub mod collect;
pub mod config;
pub mod events;
pub mod hub;
pub mod logging;
pub mod machine;
pub mod me;
pub mod metrics;
pub mod moment;
pub mod people;
pub mod poll;
pub mod report;
pub mod service;
pub mod sim;
pub mod sources;
pub mod usage;
pub mod web;
