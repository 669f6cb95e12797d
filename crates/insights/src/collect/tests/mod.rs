//! What a collector makes of what it is told.

mod looks;
mod reads;
