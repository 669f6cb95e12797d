//! Reading an input on a thread of its own, while what was read before is taken.

use super::input::Input;
use crate::events::{Items, Numbered, Then};
use crate::poll::clock::now;
use anyhow::Context as _;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::sync::mpsc;

/// Pieces that wait to be taken.
const AHEAD: usize = 2;

/// Items that are taken together.
pub(super) struct Piece {
    pub(super) items: Vec<Numbered>,
    /// Where they end.
    pub(super) offset: u64,
    pub(super) is_last: bool,
}

/// An input that is being read.
pub(super) struct Reading {
    pieces: mpsc::Receiver<anyhow::Result<Piece>>,
}

impl Reading {
    /// Reads what comes after `from`, which the import before had taken.
    pub(super) fn start(input: Input, hub: Arc<str>, from: u64, n_read: Arc<AtomicU64>) -> Self {
        let (output, pieces) = mpsc::channel(AHEAD);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = read(&input, hub, from, &n_read, &output) {
                // Nobody may be waiting any more.
                let _ = output.blocking_send(Err(error));
            }
        });
        Self { pieces }
    }

    /// What comes next, none at the end.
    pub(super) async fn next(&mut self) -> Option<anyhow::Result<Piece>> {
        self.pieces.recv().await
    }
}

fn read(
    input: &Input,
    hub: Arc<str>,
    from: u64,
    n_read: &Arc<AtomicU64>,
    output: &mpsc::Sender<anyhow::Result<Piece>>,
) -> anyhow::Result<()> {
    let cannot = || format!("cannot read `{}` to its end", input.name());
    let mut text = input.open(n_read)?;
    let mut items = Items::new(hub);
    items.skip_to(&mut text, from, now()).with_context(cannot)?;
    loop {
        let mut chunk = items.next_chunk(&mut text, now()).with_context(cannot)?;
        let is_last = chunk.then == Then::End;
        if is_last {
            chunk.items.extend(items.finish(now()));
        }
        let piece = Piece {
            items: chunk.items,
            offset: items.offset(),
            is_last,
        };
        if output.blocking_send(Ok(piece)).is_err() || is_last {
            return Ok(());
        }
    }
}
