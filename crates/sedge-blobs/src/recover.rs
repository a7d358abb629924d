//! What a start puts right after a killed process or a lost cache.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;

use iroh_blobs::BlobFormat;
use iroh_blobs::api::blobs::{AddPathOptions, ImportMode};
use n0_future::StreamExt;
use sedge_statement::{ByteSize, ModelFile};

use crate::blocking::blocking;
use crate::digest;
use crate::index::{self, Claim};
use crate::layout;
use crate::node;
use crate::store::{Inner, OpenError};

impl Inner {
    /// Makes tags, tables and files agree again. Whatever is in doubt is fetched or proven again, never trusted.
    pub(crate) async fn recover(&self) -> Result<(), OpenError> {
        self.drop_orphans().await?;
        let mut claimed = Vec::new();
        for (claim, file) in self.claims().await? {
            let path = self.layout.model(file.sha256, &file.name);
            let placed = std::fs::symlink_metadata(&path).is_ok_and(|m| m.is_file() && m.len() == file.size.get());
            if claim == Claim::Held && placed && self.serves(&file, &path).await? {
                self.index().insert(&file);
                claimed.push((file.sha256, file.name));
                continue;
            }
            if claim == Claim::Held {
                tracing::warn!(file = %file.name, sha256 = %file.sha256.short(), "a held file is gone from models/; it will be fetched again");
                self.claim(Claim::Want, &file).await.map_err(store)?;
            }
            // Not proven, or not there whole: its bytes stay in the store for the next fetch to build on.
            self.layout.displace(file.sha256, &file.name)?;
        }
        for (sha256, name, path) in self.layout.placed()? {
            if !claimed.contains(&(sha256, name.clone())) {
                self.adopt(sha256, name, path).await?;
            }
        }
        Ok(())
    }

    async fn claims(&self) -> Result<Vec<(Claim, ModelFile)>, OpenError> {
        let mut tags = self.fs.tags().list().await.map_err(store)?;
        let mut claims = Vec::new();
        while let Some(tag) = tags.next().await {
            let tag = tag.map_err(store)?;
            claims.extend(index::read_tag(tag.name.0.as_ref(), node::blake3(tag.hash)));
        }
        Ok(claims)
    }

    /// Removes data files that no table knows: an import or a first piece that was killed before it was recorded.
    async fn drop_orphans(&self) -> Result<(), OpenError> {
        let known = self.fs.list().hashes().await.map_err(store)?;
        let known: BTreeSet<PathBuf> = known.into_iter().flat_map(|hash| self.layout.parts(hash)).collect();
        for path in self.layout.stored()? {
            if !known.contains(&path) {
                layout::remove(&path)?;
            }
        }
        Ok(())
    }

    /// Whether the store can serve a placed file, after mending its own record where that is what is broken (the
    /// home was moved, or the cache lost this entry).
    async fn serves(&self, file: &ModelFile, path: &std::path::Path) -> Result<bool, OpenError> {
        if self.local(file).await.is_ok_and(|have| have.covers(file.size.get())) {
            return Ok(true);
        }
        let (data, path) = (self.layout.data(node::hash(file.blake3)), path.to_owned());
        blocking(move || {
            layout::remove(&data)?;
            std::fs::hard_link(path, &data)
        })
        .await?;
        match self.import(file).await {
            Ok(()) => Ok(true),
            Err(error) => {
                tracing::warn!(%error, file = %file.name, "a held file cannot be served any more; it will be fetched again");
                Ok(false)
            }
        }
    }

    /// Takes a file of `models/` that has no bookkeeping: adopted if its bytes are what its directory says, else gone.
    async fn adopt(
        &self,
        sha256: sedge_statement::Sha256,
        name: sedge_statement::FileName,
        path: PathBuf,
    ) -> Result<(), OpenError> {
        let read = path.clone();
        let digests = blocking(move || digest::copy(&mut File::open(read)?, &mut std::io::sink(), u64::MAX)).await?;
        if digests.sha256 != sha256 || digests.size == 0 {
            tracing::warn!(path = %path.display(), "a file in models/ is not what its directory says; removed");
            return Ok(self.layout.displace(sha256, &name)?);
        }
        let file = ModelFile { name, size: ByteSize(digests.size), sha256, blake3: digests.blake3 };
        if self.serves(&file, &path).await? {
            let hash = node::hash(file.blake3);
            self.layout.place(hash, sha256, &file.name)?;
            self.claim(Claim::Held, &file).await.map_err(store)?;
            self.index().insert(&file);
        }
        Ok(())
    }

    /// Has the store record the file at its own data path as complete. Computes the hash tree; copies nothing.
    pub(crate) async fn import(&self, file: &ModelFile) -> Result<(), crate::StoreError> {
        let options = AddPathOptions {
            path: self.layout.data(node::hash(file.blake3)),
            mode: ImportMode::TryReference,
            format: BlobFormat::Raw,
        };
        let added = self.fs.add_path_with_opts(options).temp_tag().await.map_err(crate::StoreError::of)?;
        if added.hash() != node::hash(file.blake3) {
            return Err(crate::StoreError("the bytes changed while they were read".to_owned()));
        }
        self.claim(Claim::Want, file).await
    }
}

fn store(source: impl std::fmt::Display) -> OpenError {
    OpenError::Store(format!("{source:#}"))
}
