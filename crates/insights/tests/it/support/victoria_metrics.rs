//! A real VictoriaMetrics.

use super::{Process, block_on, free_port, http, tools, until};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Bytes of one request of an import.
const PART_BYTES: usize = 32 << 20;

/// A VictoriaMetrics with nothing in it but what a test puts there.
pub(crate) struct VictoriaMetrics {
    process: Process,
    /// Ends in a slash.
    pub(crate) url: String,
    _folder: tempfile::TempDir,
}

impl VictoriaMetrics {
    /// Starts it with these samples and waits until they are seen.
    pub(crate) fn start_with_past(files: &[PathBuf]) -> Self {
        let server = Self::start();
        for file in files {
            server.load(file);
        }
        // What is in memory is not searched for a second or two.
        server.get("internal/force_flush");
        server
    }

    fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("victoria-").tempdir();
        let folder = folder.unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(tools().join("victoria-metrics/usr/bin/victoria-metrics"));
        command
            .arg(format!(
                "-storageDataPath={}",
                folder.path().join("data").display()
            ))
            .arg(format!("-httpListenAddr={address}"))
            // In months.
            .arg("-retentionPeriod=12")
            // Otherwise the last seconds are left out of answers.
            .arg("-search.latencyOffset=0s")
            .arg("-loggerLevel=WARN")
            .current_dir(folder.path())
            .env_clear();
        let process = Process::start(&mut command, &folder.path().join("victoria-metrics.log"));
        let server = Self {
            process,
            url: format!("http://{address}/"),
            _folder: folder,
        };
        let health = format!("{}health", server.url);
        let answer = until("VictoriaMetrics to be ready", || {
            let response = block_on(http().get(&health).send()).ok()?;
            response.status().is_success().then_some(())
        });
        answer.unwrap_or_else(|| panic!("no VictoriaMetrics:\n{}", server.process.output()));
        server
    }

    /// Takes a text with times in seconds, in parts of whole lines.
    fn load(&self, file: &Path) {
        let text = std::fs::read(file).unwrap();
        let mut rest = &text[..];
        while !rest.is_empty() {
            let most = &rest[..rest.len().min(PART_BYTES)];
            let end = most.iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
            let (part, after) = rest.split_at(end);
            let request = http()
                .post(format!("{}api/v1/import/prometheus", self.url))
                .timeout(Duration::from_mins(2))
                .body(part.to_vec());
            let status = block_on(request.send()).unwrap().status();
            assert!(status.is_success(), "{status}\n{}", self.process.output());
            rest = after;
        }
    }

    fn get(&self, path: &str) {
        let request = http().get(format!("{}{path}", self.url));
        assert!(block_on(request.send()).unwrap().status().is_success());
    }
}
