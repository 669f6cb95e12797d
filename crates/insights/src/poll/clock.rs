//! The wall clock. Whoever needs the time gets it passed; this is where it comes from.

use jiff::Timestamp;

/// The present moment.
#[expect(clippy::disallowed_methods, reason = "`poll` and `main` own the clock")]
pub fn now() -> Timestamp {
    Timestamp::now()
}
