//! Where things lie on the disk.
//!
//! ```text
//! blobs/blobs.db        iroh-blobs' tables: what is held in part or whole, and our tags
//! blobs/data/<blake3>.* the bytes, their hash tree, and bookkeeping of partial ones
//! blobs/temp/           iroh-blobs' own half-made files
//! blobs/incoming/       files being imported
//! models/<sha256>/<n>   a second name (hard link) of the bytes in blobs/data, for whoever opens the model
//! ```
//!
//! Why a link and not a move: a link appears whole or not at all and leaves the store's own tables true, so there is
//! no instruction at which a killed process leaves bytes that neither side knows. One inode, one copy.
//! `blobs/` is a cache: without it, `models/` is proven, and adopted again, at the next start.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use iroh_blobs::Hash;
use iroh_blobs::store::fs::options::PathOptions;
use sedge_statement::{FileName, Sha256};

/// The paths under one `$SEDGE_HOME`.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) blobs: PathBuf,
    pub(crate) incoming: PathBuf,
    pub(crate) models: PathBuf,
    store: PathOptions,
}

impl Layout {
    /// Makes the directories, empties those of half-made files.
    pub(crate) fn create(home: &Path) -> io::Result<Self> {
        fs::create_dir_all(home)?;
        let home = home.canonicalize()?;
        let blobs = home.join("blobs");
        let layout = Self {
            incoming: blobs.join("incoming"),
            models: home.join("models"),
            store: PathOptions::new(&blobs),
            blobs,
        };
        for half_made in [&layout.incoming, &layout.store.temp_path] {
            match fs::remove_dir_all(half_made) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => fs::create_dir_all(half_made)?,
            }
        }
        fs::create_dir_all(&layout.models)?;
        fs::create_dir_all(&layout.store.data_path)?;
        sync_dir(&home)?;
        Ok(layout)
    }

    /// Where a model's file is opened from.
    pub(crate) fn model(&self, sha256: Sha256, name: &FileName) -> PathBuf {
        self.models.join(sha256.to_string()).join(name.as_str())
    }

    /// Where the store keeps the bytes.
    pub(crate) fn data(&self, hash: Hash) -> PathBuf {
        self.store.data_path(&hash)
    }

    /// Everything the store may keep of one blob.
    pub(crate) fn parts(&self, hash: Hash) -> [PathBuf; 4] {
        let store = &self.store;
        [store.data_path(&hash), store.outboard_path(&hash), store.sizes_path(&hash), store.bitfield_path(&hash)]
    }

    /// The files in the store's data directory.
    pub(crate) fn stored(&self) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(&self.store.data_path)?.map(|entry| Ok(entry?.path())).collect()
    }

    /// The files under `models/` whose directory and name are ours: `(digest, name, path)`. Anything else there is
    /// not Sedge's, and left alone.
    pub(crate) fn placed(&self) -> io::Result<Vec<(Sha256, FileName, PathBuf)>> {
        let mut found = Vec::new();
        for dir in fs::read_dir(&self.models)? {
            let dir = dir?;
            let Some(sha256) = dir.file_name().to_str().and_then(|n| n.parse().ok()) else { continue };
            if !dir.file_type()?.is_dir() {
                continue;
            }
            for file in fs::read_dir(dir.path())? {
                let file = file?;
                let Some(name) = file.file_name().to_str().and_then(|n| n.parse().ok()) else { continue };
                if file.file_type()?.is_file() {
                    found.push((sha256, name, file.path()));
                }
            }
        }
        found.sort_by(|a, b| a.2.cmp(&b.2));
        Ok(found)
    }

    /// Gives the stored bytes their name under `models/`: read-only, and synced with every directory on the way.
    pub(crate) fn place(&self, hash: Hash, sha256: Sha256, name: &FileName) -> io::Result<PathBuf> {
        let (data, target) = (self.data(hash), self.model(sha256, name));
        let file = File::open(&data)?;
        file.set_permissions(fs::Permissions::from_mode(0o444))?;
        file.sync_all()?;
        let dir = self.models.join(sha256.to_string());
        fs::create_dir_all(&dir)?;
        match fs::metadata(&target) {
            Ok(there) if there.ino() == file.metadata()?.ino() => {}
            Ok(_) => {
                fs::remove_file(&target)?;
                fs::hard_link(&data, &target)?;
            }
            Err(_) => fs::hard_link(&data, &target)?,
        }
        sync_dir(&dir)?;
        sync_dir(&self.models)?;
        Ok(target)
    }

    /// Takes a name away again, and its directory with the last one. A name that is not there is no error.
    pub(crate) fn displace(&self, sha256: Sha256, name: &FileName) -> io::Result<()> {
        remove(&self.model(sha256, name))?;
        match fs::remove_dir(self.models.join(sha256.to_string())) {
            Ok(()) => sync_dir(&self.models),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => Ok(()),
            Err(e) => Err(e),
        }
    }
}

/// Removes a file; one that is not there is no error.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Makes the names in a directory survive a power cut.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
