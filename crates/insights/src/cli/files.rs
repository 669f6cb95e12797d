//! Files that commands write: there when they are complete, since half of one looks like a whole one.

use anyhow::Context as _;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{BufWriter, IntoInnerError, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A file on its way.
pub(super) enum OutputFile {
    /// Takes its place at the end.
    Whole(BufWriter<NamedTempFile>, PathBuf),
    /// `/dev/stdout`, a pipe: nothing that could be replaced.
    Straight(BufWriter<File>, PathBuf),
}

fn cannot(path: &Path) -> String {
    format!("cannot write `{}`", path.display())
}

impl OutputFile {
    /// Nothing is there yet.
    pub(super) fn begin(path: &Path) -> anyhow::Result<Self> {
        // What a link leads to is replaced, not the link.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let told = || cannot(&path);
        if std::fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
            let file = OpenOptions::new().write(true).open(&path);
            let file = BufWriter::new(file.with_context(told)?);
            return Ok(Self::Straight(file, path));
        }
        // What is replaced keeps its rights; of a new one it is what the user's mask leaves.
        let known = std::fs::metadata(&path).ok();
        let rights = known.map_or(0o666, |known| known.permissions().mode() & 0o777);
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let file = tempfile::Builder::new()
            .prefix(".jupyterhub-insights-")
            .permissions(Permissions::from_mode(rights))
            .tempfile_in(folder.unwrap_or(Path::new(".")))
            .with_context(told)?;
        Ok(Self::Whole(BufWriter::new(file), path))
    }

    /// Puts it in its place.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Straight(mut file, path) => file.flush().with_context(|| cannot(&path)),
            Self::Whole(file, path) => {
                let file = file.into_inner().map_err(IntoInnerError::into_error);
                file.with_context(|| cannot(&path))?
                    .persist(&path)
                    .with_context(|| cannot(&path))?;
                Ok(())
            }
        }
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Whole(file, _) => file.write(bytes),
            Self::Straight(file, _) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Whole(file, _) => file.flush(),
            Self::Straight(file, _) => file.flush(),
        }
    }
}
