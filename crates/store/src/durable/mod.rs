//! A folder in which whatever was reported as written survives a power cut.
//!
//! `object_store`'s local store never syncs, and gives a log entry its name before its bytes are
//! safe, so that a power cut can publish an empty commit. [`DurableFolder`] reads through it and
//! does all writing itself: nothing has its final name before its bytes are synced, and nothing
//! is reported as done before its name is ([`folder`] has the order, [`disk`] the operations,
//! [`staged`] the names in between).
//!
//! What a table is, and when it is written to, does not belong here.

#![cfg_attr(
    not(test),
    expect(dead_code, reason = "the history, which writes through it, comes next")
)]

pub(crate) mod disk;
pub(crate) mod error;
mod folder;
pub(crate) mod probe;
pub(crate) mod staged;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod upload;

use self::disk::Disk;
use self::error::DurableError;
use self::folder::{Existing, Folder};
use self::upload::{Upload, publish};
use async_trait::async_trait;
use bytes::Bytes;
use deltalake_core::{DeltaResult, DeltaTableBuilder, DeltaTableError};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    RenameTargetMode, Result,
};
use std::fmt;
use std::fs::{DirBuilder, File};
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use url::Url;

/// A store for one folder.
///
/// Its paths are those of the whole file system, as of `LocalFileSystem::new()`, because
/// deltalake addresses a `file:` store from `/`. What is outside the folder it does not write.
#[derive(Debug)]
pub(crate) struct DurableFolder {
    folder: Arc<Folder>,
    /// The folder as the store's paths say it.
    prefix: Path,
    local: LocalFileSystem,
}

impl DurableFolder {
    /// Creates the folder if it is missing.
    pub(crate) fn new(
        root: impl AsRef<FilePath>,
        disk: Arc<dyn Disk>,
    ) -> std::result::Result<Self, DurableError> {
        let root = root.as_ref();
        let root = create_all(root)
            .and_then(|()| root.canonicalize())
            .map_err(DurableError::disk("open", root))?;
        if has_percent_code(&root) {
            return Err(DurableError::PercentName { path: root });
        }
        let prefix = Path::from_absolute_path(&root)
            .map_err(io::Error::other)
            .map_err(DurableError::disk("address", &root))?;
        Ok(Self {
            folder: Arc::new(Folder::new(root, disk)),
            prefix,
            local: LocalFileSystem::new(),
        })
    }

    /// The way to create or open the Delta table in `table_folder`, a path below this folder.
    ///
    /// `load()` on a folder that does not exist is an error of the kernel, not `NotATable`.
    pub(crate) fn open_builder(
        self: &Arc<Self>,
        table_folder: impl AsRef<FilePath>,
    ) -> DeltaResult<DeltaTableBuilder> {
        let invalid =
            |error: DurableError| DeltaTableError::InvalidTableLocation(error.to_string());
        let path = self.folder.root().join(table_folder);
        let path = self.folder.inside(path).map_err(invalid)?;
        let url = Url::from_directory_path(path).expect("a path below the root is absolute");
        let store: Arc<dyn ObjectStore> = Arc::<Self>::clone(self);
        Ok(DeltaTableBuilder::from_url(url.clone())?.with_storage_backend(store, url))
    }

    /// Syncs files and folders, given below this folder or in full, and the names that lead there.
    ///
    /// For what another process wrote: finding it does not tell that it came to its syncs.
    pub(crate) async fn sync_existing(&self, paths: Vec<PathBuf>) -> Result<()> {
        let folder = Arc::clone(&self.folder);
        blocking(move || Ok(folder.sync_existing(paths)?)).await
    }

    fn writable(&self, location: &Path) -> Result<PathBuf> {
        writable(&self.local, &self.folder, location)
    }

    fn not_implemented<T>(&self, operation: &str) -> Result<T> {
        Err(object_store::Error::NotImplemented {
            operation: operation.to_owned(),
            implementer: self.to_string(),
        })
    }
}

impl fmt::Display for DurableFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DurableFolder({})", self.folder.root().display())
    }
}

#[async_trait]
impl ObjectStore for DurableFolder {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        let existing = match opts.mode {
            PutMode::Overwrite => Existing::Replace,
            PutMode::Create => Existing::Refuse,
            PutMode::Update(_) => return self.not_implemented("`put_opts` with an update"),
        };
        if !opts.attributes.is_empty() {
            return self.not_implemented("`put_opts` with attributes");
        }
        let target = self.writable(location)?;
        let folder = Arc::clone(&self.folder);
        blocking(move || {
            let staged = folder.stage(&target)?;
            folder.write(&staged, 0, payload.iter())?;
            publish(&folder, &staged, existing)
        })
        .await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        if !opts.attributes.is_empty() {
            return self.not_implemented("`put_multipart_opts` with attributes");
        }
        let target = self.writable(location)?;
        let folder = Arc::clone(&self.folder);
        blocking(move || {
            let staged = folder.stage(&target)?;
            Ok(Box::new(Upload::new(folder, staged)) as Box<dyn MultipartUpload>)
        })
        .await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.local.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.local.get_ranges(location, ranges).await
    }

    /// Collects the stream and answers when the folders are synced, once each.
    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let folder = Arc::clone(&self.folder);
        let local = self.local.clone();
        let answers = async move {
            let locations: Vec<_> = locations.collect().await;
            let deleted = blocking(move || Ok(delete(&local, &folder, locations))).await;
            stream::iter(deleted.unwrap_or_else(|error| vec![Err(error)]))
        };
        stream::once(answers).flatten().boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.local.list(Some(prefix.unwrap_or(&self.prefix)))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.unwrap_or(&self.prefix);
        self.local.list_with_offset(Some(prefix), offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let prefix = prefix.unwrap_or(&self.prefix);
        self.local.list_with_delimiter(Some(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let existing = match options.mode {
            CopyMode::Overwrite => Existing::Replace,
            CopyMode::Create => Existing::Refuse,
        };
        let (from, to) = (self.writable(from)?, self.writable(to)?);
        let folder = Arc::clone(&self.folder);
        blocking(move || Ok(folder.copy(&from, &to, existing)?)).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let existing = match options.target_mode {
            RenameTargetMode::Overwrite => Existing::Replace,
            RenameTargetMode::Create => Existing::Refuse,
        };
        let (from, to) = (self.writable(from)?, self.writable(to)?);
        let folder = Arc::clone(&self.folder);
        blocking(move || Ok(folder.rename(&from, &to, existing)?)).await
    }
}

fn writable(local: &LocalFileSystem, folder: &Folder, location: &Path) -> Result<PathBuf> {
    Ok(folder.inside(local.path_to_filesystem(location)?)?)
}

/// One answer for each location, in order.
fn delete(
    local: &LocalFileSystem,
    folder: &Folder,
    locations: Vec<Result<Path>>,
) -> Vec<Result<Path>> {
    let mut paths = Vec::new();
    let locations: Vec<Result<Path>> = locations
        .into_iter()
        .map(|location| {
            let location = location?;
            paths.push(writable(local, folder, &location)?);
            Ok(location)
        })
        .collect();
    let mut deleted = folder.delete(paths).into_iter();
    locations
        .into_iter()
        .map(|location| {
            let location = location?;
            deleted.next().expect("each path has an answer")?;
            Ok(location)
        })
        .collect()
}

/// Runs what waits for the disk where waiting is allowed.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime.spawn_blocking(work).await?,
        Err(_) => work(),
    }
}

fn has_percent_code(path: &FilePath) -> bool {
    let is_code = |bytes: &[u8]| bytes[0] == b'%' && bytes[1..].iter().all(u8::is_ascii_hexdigit);
    path.as_os_str().as_bytes().windows(3).any(is_code)
}

/// The root and what leads to it, once and for all; not through [`Disk`], which begins below.
fn create_all(root: &FilePath) -> io::Result<()> {
    if root.is_dir() {
        return Ok(());
    }
    // The parent of a relative `history` is the empty path.
    let parent = match root.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => FilePath::new("."),
    };
    create_all(parent)?;
    match DirBuilder::new().mode(0o700).create(root) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => File::open(parent)?.sync_all(),
    }
}
