//! Why a durable write failed, and how to tell a full disk from the rest.

use std::error::Error;
use std::io;
use std::path::PathBuf;

/// What the disk refused; `object_store::Error` carries it as its source.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DurableError {
    /// One step of a write, named by `doing`.
    #[error("could not {doing} `{}`", path.display())]
    Disk {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// A commit is published by a hard link, which is refused when the name is taken.
    #[error(
        "could not publish `{}`: its file system has no hard links, choose another `store.path`",
        path.display()
    )]
    Links { path: PathBuf, source: io::Error },
    /// A file of which parts were never written, or whose upload was aborted.
    #[error("could not publish `{}`: not all of its parts were written", path.display())]
    Incomplete { path: PathBuf },
    /// deltalake addresses files by URL and decodes such a name once too often.
    #[error(
        "no table can be read in `{}`: its name has a `%` before two hexadecimal digits, choose \
         another `store.path`",
        path.display()
    )]
    PercentName { path: PathBuf },
    /// The store writes in its own folder only.
    #[error("`{}` is outside the folder `{}`", path.display(), root.display())]
    Outside { path: PathBuf, root: PathBuf },
}

impl DurableError {
    pub(super) fn disk(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Disk {
            doing,
            path,
            source,
        }
    }
}

impl From<DurableError> for object_store::Error {
    fn from(error: DurableError) -> Self {
        let named = match &error {
            DurableError::Disk { path, source, .. } => Some((path, source.kind())),
            _ => None,
        };
        match named {
            Some((path, io::ErrorKind::NotFound)) => Self::NotFound {
                path: path.display().to_string(),
                source: Box::new(error),
            },
            Some((path, io::ErrorKind::AlreadyExists)) => Self::AlreadyExists {
                path: path.display().to_string(),
                source: Box::new(error),
            },
            _ => Self::Generic {
                store: "DurableFolder",
                source: Box::new(error),
            },
        }
    }
}

/// What the disk said, however deep the libraries above have wrapped it.
pub(crate) fn disk_error<'error>(
    error: &'error (dyn Error + 'static),
) -> Option<&'error io::Error> {
    // The innermost: `BufWriter` wraps the error of a store into an `io::Error` of its own.
    let mut innermost = None;
    let mut next = Some(error);
    while let Some(error) = next {
        innermost = error.downcast_ref::<io::Error>().or(innermost);
        next = error.source();
    }
    innermost
}

/// Whether the disk, or our share of it, is full: waiting and room help, a retry at once does not.
pub(crate) fn is_full(error: &(dyn Error + 'static)) -> bool {
    disk_error(error).is_some_and(|error| says_full(error.kind()))
}

pub(super) fn says_full(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
