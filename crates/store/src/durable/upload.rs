//! A large file that arrives in parts.

use super::blocking;
use super::error::DurableError;
use super::folder::{Existing, Folder};
use super::staged::Staged;
use async_trait::async_trait;
use futures::FutureExt;
use object_store::{MultipartUpload, PutPayload, PutResult, Result, UploadPart};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Parts go to the offsets they were handed in at, in whatever order they are written.
#[derive(Debug)]
pub(super) struct Upload {
    folder: Arc<Folder>,
    target: PathBuf,
    staged: Option<Arc<Staged>>,
    /// Bytes handed in, which is where the next part goes.
    offset: u64,
    n_written: Arc<AtomicU64>,
}

impl Upload {
    pub(super) fn new(folder: Arc<Folder>, staged: Staged) -> Self {
        Self {
            folder,
            target: staged.target().to_owned(),
            staged: Some(Arc::new(staged)),
            offset: 0,
            n_written: Arc::default(),
        }
    }

    fn take(&mut self) -> Result<Arc<Staged>> {
        self.staged.take().ok_or_else(|| self.incomplete().into())
    }

    fn incomplete(&self) -> DurableError {
        DurableError::Incomplete {
            path: self.target.clone(),
        }
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let Some(staged) = self.staged.clone() else {
            return futures::future::ready(Err(self.incomplete().into())).boxed();
        };
        let folder = Arc::clone(&self.folder);
        let n_written = Arc::clone(&self.n_written);
        let offset = self.offset;
        let length = data.content_length() as u64;
        self.offset += length;
        blocking(move || {
            folder.write(&staged, offset, data.iter())?;
            n_written.fetch_add(length, Ordering::AcqRel);
            Ok(())
        })
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let staged = self.take()?;
        let folder = Arc::clone(&self.folder);
        let is_whole = self.n_written.load(Ordering::Acquire) == self.offset;
        let incomplete = self.incomplete();
        blocking(move || {
            if !is_whole {
                staged
                    .discard()
                    .map_err(DurableError::disk("remove", staged.path()))?;
                return Err(incomplete.into());
            }
            // A failure removes the staged file, for nobody else holds it any more.
            publish(&folder, &staged, Existing::Replace)
        })
        .await
    }

    async fn abort(&mut self) -> Result<()> {
        let staged = self.take()?;
        blocking(move || {
            staged
                .discard()
                .map_err(DurableError::disk("remove", staged.path()))?;
            Ok(())
        })
        .await
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(staged) = self.staged.take() else {
            return;
        };
        let discard = move || {
            // What cannot be removed now is removed by `sweep_staged`.
            let _ = staged.discard();
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(discard)),
            Err(_) => discard(),
        }
    }
}

/// Publishes, and answers as the local store does.
pub(super) fn publish(folder: &Folder, staged: &Staged, existing: Existing) -> Result<PutResult> {
    let e_tag = staged
        .e_tag()
        .map_err(DurableError::disk("look at", staged.path()))?;
    folder.publish(staged, existing)?;
    Ok(PutResult {
        e_tag: Some(e_tag),
        version: None,
    })
}
