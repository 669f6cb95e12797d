//! `import events`: files of events.
//!
//! Imported twice, a file changes no figure; interrupted, the import goes on where the rows end.

mod input;
mod read;

use super::{importer, of_import};
use crate::cli::store::settings;
use crate::cli::{CommandError, ConfigArgs, block_on, of_store, print};
use crate::collect;
use crate::config::environment::Environment;
use crate::events::{Batch, Item, Rejected};
use crate::poll::clock::now;
use anyhow::Context as _;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use input::{Input, Progress};
use jiff::Timestamp;
use read::{Piece, Reading};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use store::{Counting, Importer, Intake, KeeperSettings, Position, Store};

pub(super) const EXAMPLES: &str = "\
Examples:
  jupyterhub-insights import events events.jsonl events.jsonl.1.gz
  jupyterhub-insights import events archive/          all *.jsonl, *.ndjson and *.json in it, also .gz
  zcat 2026-*.gz | jupyterhub-insights import events -

A line is an event of a JupyterHub (4, 5 or 6), a launch of a BinderHub or its archive, or an object
with `kind` and `at`: docs/events.md. Import each file of an archive as it is, once or often: equal
lines of one file are that many launches, the same file again is none. Lines that cannot be read are
kept in `dead_letters`.";

/// Rejected lines that are told one by one.
const MAX_REASONS: usize = 10;

/// Flags of `import events`.
#[derive(Args, Debug)]
pub(in crate::cli) struct EventsArgs {
    /// Files, plain or gzip; folders; `-` for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Read files again that were imported to their end; counts nothing twice
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) fn run(args: &EventsArgs, environment: &Environment) -> Result<ExitCode, CommandError> {
    let effective = args.config.load(Vec::new(), environment)?;
    crate::logging::start(&effective.config.log);
    let inputs = Input::of_arguments(&args.files)?;
    let store = collect::open(&effective.config, environment)?
        .context("there is no history to import into: set `store.path`")?;
    let import = async {
        let settings = settings(&effective, &store.hubs().await.map_err(of_store)?)?;
        Import::start(store, settings, args)
            .await?
            .run(inputs)
            .await
    };
    let done = block_on(import)??;
    print(&done.summary())?;
    Ok(ExitCode::SUCCESS)
}

/// An import at work.
struct Import {
    importer: Importer,
    settings: KeeperSettings,
    again: bool,
    bar: ProgressBar,
    n_read: Arc<AtomicU64>,
    done: Done,
}

/// What was imported.
#[derive(Debug, Default)]
#[expect(clippy::struct_field_names, reason = "they are all counts")]
struct Done {
    n_files: usize,
    n_files_before: usize,
    n_items: usize,
    n_new: usize,
    n_known: usize,
    n_unsure: usize,
    n_rejected: usize,
    /// Events that retention removes at its next round.
    n_expired: usize,
}

impl Import {
    async fn start(
        store: Store,
        settings: KeeperSettings,
        args: &EventsArgs,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            importer: importer(store, settings.clone()).await?,
            settings,
            again: args.again,
            // Shown on a terminal only.
            bar: ProgressBar::new(0).with_style(bar_style()),
            n_read: Arc::default(),
            done: Done::default(),
        })
    }

    async fn run(mut self, inputs: Vec<Input>) -> anyhow::Result<Done> {
        self.bar.set_length(inputs.iter().map(Input::n_bytes).sum());
        let mut outcome = Ok(());
        for input in inputs {
            outcome = self.import(input).await;
            if outcome.is_err() {
                break;
            }
        }
        // What was taken before a file that cannot be read is safe and told.
        let imported = self.importer.finish().await.map_err(of_import);
        self.bar.finish_and_clear();
        outcome?;
        let imported = imported?;
        let done = Done {
            n_new: imported.n_new,
            n_known: imported.n_known,
            n_unsure: imported.n_unsure,
            ..self.done
        };
        done.warn(&self.settings);
        Ok(done)
    }

    async fn import(&mut self, input: Input) -> anyhow::Result<()> {
        let version = input.version()?;
        let kept = self.progress(&input).await?;
        let kept = kept.filter(|kept| Some(&kept.version) == version.as_ref());
        if kept.as_ref().is_some_and(|kept| kept.is_complete) && !self.again {
            eprintln!(
                "`{}` was imported before; `--again` reads it again.",
                input.name()
            );
            self.done.n_files_before += 1;
            self.n_read.fetch_add(input.n_bytes(), Ordering::Relaxed);
            return Ok(());
        }
        let from = kept
            .filter(|kept| !kept.is_complete)
            .map_or(0, |kept| kept.offset);
        let mut reading = Reading::start(
            input.clone(),
            Arc::clone(&self.settings.hub),
            from,
            Arc::clone(&self.n_read),
        );
        while let Some(piece) = reading.next().await {
            let piece = piece?;
            let progress = version.as_ref().map(|version| Progress {
                version: version.clone(),
                offset: piece.offset,
                is_complete: piece.is_last,
            });
            self.take(&input, piece, progress).await?;
            self.bar.set_position(self.n_read.load(Ordering::Relaxed));
        }
        self.done.n_files += 1;
        Ok(())
    }

    async fn progress(&self, input: &Input) -> anyhow::Result<Option<Progress>> {
        let Some(source) = input.source() else {
            return Ok(None);
        };
        let kept = self.importer.position(&source).await.map_err(of_store)?;
        Ok(kept.and_then(|kept| serde_json::from_str(&kept).ok()))
    }

    async fn take(
        &mut self,
        input: &Input,
        piece: Piece,
        progress: Option<Progress>,
    ) -> anyhow::Result<()> {
        self.done.n_items += piece.items.len();
        for numbered in &piece.items {
            match &numbered.item {
                Item::Event(event) => self.note_age(event.at),
                Item::Rejected(rejected) => self.tell(input, numbered.line, rejected),
            }
        }
        let items = piece.items.into_iter().map(|numbered| numbered.item);
        let mut batch = Batch::of(&format!("import {}", input.name()), items);
        if let (Some(source), Some(progress)) = (input.source(), progress) {
            let value = serde_json::to_string(&progress)?;
            batch.position = Some(Position { source, value });
        }
        // Before the rows, whose position says that all before it was dealt with.
        let letters = batch.letters(&self.settings.hub, now()).map_err(of_store)?;
        if !letters.is_empty() {
            let handed_in = self.importer.hand_in(letters, Counting::Beside).await;
            handed_in.map_err(of_import)?;
        }
        // Not as the sink takes them: what is past is in no counter of what happens now.
        let mut rows = Intake::default();
        for event in &batch.events {
            rows.event(event)?;
        }
        if let Some(position) = batch.position {
            rows.position(position);
        }
        let handed_in = self.importer.hand_in(rows, Counting::Counted).await;
        handed_in.map_err(of_import)
    }

    fn note_age(&mut self, at: Timestamp) {
        let kept = self.settings.retention.events;
        if kept.is_some_and(|kept| now().duration_since(at) > kept) {
            self.done.n_expired += 1;
        }
    }

    fn tell(&mut self, input: &Input, line: u64, rejected: &Rejected) {
        self.done.n_rejected += 1;
        if self.done.n_rejected <= MAX_REASONS {
            let (name, reason) = (input.name(), &rejected.reason);
            self.bar
                .suspend(|| eprintln!("{name}, line {line}: {reason}"));
        }
    }
}

impl Done {
    fn summary(&self) -> String {
        let Self {
            n_files,
            n_files_before,
            n_items,
            n_new,
            n_known,
            n_rejected,
            ..
        } = self;
        format!(
            "{n_items} lines read from {n_files} files ({n_files_before} imported before): {n_new} new \
             events, {n_known} known, {n_rejected} rejected\n"
        )
    }

    fn warn(&self, settings: &KeeperSettings) {
        if self.n_rejected > MAX_REASONS {
            let n_more = self.n_rejected - MAX_REASONS;
            eprintln!("… and {n_more} more; all are in the table `dead_letters`.");
        }
        if self.n_unsure > 0 {
            eprintln!(
                "Of the new events {} are older than a day: the process that keeps the history \
                 leaves out those that it holds already when it writes them.",
                self.n_unsure
            );
        }
        if let (1.., Some(kept)) = (self.n_expired, settings.retention.events) {
            eprintln!(
                "jupyterhub-insights: warning: {} events are older than {} days and will be removed \
                 within minutes; set `retention.events_days` to keep them (0: for ever).",
                self.n_expired,
                kept.as_hours() / 24
            );
        }
    }
}

fn bar_style() -> ProgressStyle {
    let style = ProgressStyle::with_template(
        "{wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
    );
    // Only fails for a mistake in the text, and then the bar looks plain.
    style.unwrap_or_else(|_| ProgressStyle::default_bar())
}
