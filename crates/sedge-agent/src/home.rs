//! `$SEDGE_HOME`: one agent's files, locked while it runs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use sedge_statement::SecretKey;

use crate::api::{ApiError, ErrorKind};
use crate::store::{Store, StoreError};

/// The home used where none is given: `$XDG_DATA_HOME/sedge`, else `~/.local/share/sedge`, else `/var/lib/sedge`.
pub fn default_home() -> PathBuf {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    absolute("XDG_DATA_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
        .map_or_else(|| PathBuf::from("/var/lib/sedge"), |data| data.join("sedge"))
}

/// Where the control socket of a home is.
pub(crate) fn socket_path(home: &Path) -> PathBuf {
    home.join("agent.sock")
}

/// Why a home cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum HomeError {
    /// Stop the other agent, or give this one a home of its own.
    #[error("another sedge process uses {}", .0.display())]
    Locked(PathBuf),
    /// `init` or `join` first.
    #[error("{} belongs to no mesh", .0.display())]
    NoMesh(PathBuf),
    /// Choose another home.
    #[error("{} already belongs to a mesh", .0.display())]
    HasMesh(PathBuf),
    /// The key file is not 32 bytes: restore it, or enrol anew in a fresh home.
    #[error("{} is not a key", .0.display())]
    BadKey(PathBuf),
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The state cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<HomeError> for ApiError {
    fn from(error: HomeError) -> Self {
        let remedy = match &error {
            HomeError::Locked(_) => "Stop it with `sedge agent stop`, or give another home with --home.",
            HomeError::NoMesh(_) => "Make a mesh with `sedge init`, or join one with `sedge join TICKET`.",
            HomeError::HasMesh(_) => "Choose another home with --home; a home belongs to one mesh for ever.",
            HomeError::BadKey(_) => "Restore the key from a backup, or join anew from an empty home.",
            HomeError::Store(StoreError::Newer { .. }) => "Update this program; the home was left as it was.",
            HomeError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "Free space on that file system."
            }
            HomeError::Io { .. } => "Check that the path exists, is yours and can be written.",
            HomeError::Store(_) => "Check the disk; if the file is damaged, join anew from an empty home.",
        };
        Self { kind: ErrorKind::Failed, message: error.to_string(), remedy: remedy.to_owned() }
    }
}

/// An open home. The lock is held until it is dropped.
#[derive(Debug)]
pub(crate) struct Home {
    /// The directory, absolute.
    pub(crate) path: PathBuf,
    /// The node's key.
    pub(crate) key: SecretKey,
    /// The state.
    pub(crate) store: std::sync::Arc<Store>,
    _lock: File,
}

impl Home {
    /// Opens the home, making what is missing: directories, a random key, an empty state.
    pub(crate) fn open(path: &Path) -> Result<Self, HomeError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| HomeError::Io { path, source }
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io(path))?;
        let path = path.canonicalize().map_err(io(path))?;
        let lock_path = path.join("agent.lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&lock_path);
        let lock = lock.map_err(io(&lock_path))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| HomeError::Locked(path.clone()))?;
        let key = load_or_make_key(&path)?;
        let store = std::sync::Arc::new(Store::open(&path.join("state.redb"))?);
        let state = path.join("state.redb");
        fs::set_permissions(&state, fs::Permissions::from_mode(0o600)).map_err(io(&state))?;
        Ok(Self { path, key, store, _lock: lock })
    }
}

/// The key is written under another name, synced and renamed, so that a power cut leaves a whole key or none.
fn load_or_make_key(home: &Path) -> Result<SecretKey, HomeError> {
    let dir = home.join("identity");
    let path = dir.join("secret.key");
    let io = |source| HomeError::Io { path: path.clone(), source };
    match File::open(&path) {
        Ok(mut file) => {
            let mut seed = [0u8; 32];
            let mut rest = [0u8; 1];
            file.read_exact(&mut seed).map_err(|_| HomeError::BadKey(path.clone()))?;
            match file.read(&mut rest).map_err(io)? {
                0 => Ok(SecretKey::from_bytes(&seed)),
                _ => Err(HomeError::BadKey(path)),
            }
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(io)?;
            let key = SecretKey::from_bytes(&rand::random());
            let fresh = dir.join("secret.key.new");
            let mut file =
                OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&fresh).map_err(io)?;
            file.write_all(&*key.to_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
            fs::rename(&fresh, &path).map_err(io)?;
            File::open(&dir).and_then(|d| d.sync_all()).map_err(io)?;
            Ok(key)
        }
        Err(source) => Err(io(source)),
    }
}
