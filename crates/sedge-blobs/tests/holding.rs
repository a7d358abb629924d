//! What one store keeps on its disk.

#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

#[expect(dead_code, reason = "each test binary uses its own part")]
mod support;

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use sedge_blobs::{AddError, BlobStore, Options, ProveError};
use sedge_statement::ByteSize;
use support::{disk_usage, file_of, files_below, options, weights};

async fn add(store: &BlobStore, bytes: &[u8], name: &str) -> Result<sedge_statement::ModelFile, AddError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("source");
    std::fs::write(&path, bytes).unwrap();
    store.add_file(&path, &name.parse().unwrap()).await
}

fn placed(home: &Path, file: &sedge_statement::ModelFile) -> std::path::PathBuf {
    home.join("models").join(file.sha256.to_string()).join(file.name.as_str())
}

/// Overwrites one byte of a read-only file, as a failing disk would.
fn flip(path: &Path, at: usize) {
    let mode = std::fs::metadata(path).unwrap().permissions();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o644)).unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.write_all_at(&bytes[at..=at], at as u64).unwrap();
    std::fs::set_permissions(path, mode).unwrap();
}

/// Cuts the end of a read-only file off.
fn shorten(path: &Path, to: u64) {
    let mode = std::fs::metadata(path).unwrap().permissions();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o644)).unwrap();
    std::fs::File::options().write(true).open(path).unwrap().set_len(to).unwrap();
    std::fs::set_permissions(path, mode).unwrap();
}

#[tokio::test]
async fn an_added_file_is_one_copy_on_the_disk_read_only_and_proven() {
    let home = tempfile::tempdir().unwrap();
    let store = BlobStore::open(home.path(), options()).await.unwrap();
    let bytes = weights(20 << 20, 1);
    let file = add(&store, &bytes, "model.onnx").await.unwrap();
    assert_eq!(file, file_of(&bytes, "model.onnx"));
    let path = store.prove(&file).await.unwrap();
    assert_eq!(path, placed(&home.path().canonicalize().unwrap(), &file));
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o444);
    assert_eq!(store.held(), std::slice::from_ref(&file));
    assert!(store.has(&file.blake3));
    assert_eq!(store.missing(&file).await.unwrap(), ByteSize(0));
    store.shutdown().await;
    let usage = disk_usage(home.path());
    assert!(usage <= bytes.len() as u64 * 11 / 10, "{usage} bytes for {}", bytes.len());
}

#[tokio::test]
async fn the_same_bytes_added_twice_are_stored_once_under_each_name() {
    let home = tempfile::tempdir().unwrap();
    let store = BlobStore::open(home.path(), options()).await.unwrap();
    let bytes = weights(8 << 20, 2);
    let one = add(&store, &bytes, "one.onnx").await.unwrap();
    let again = add(&store, &bytes, "one.onnx").await.unwrap();
    let two = add(&store, &bytes, "two.onnx").await.unwrap();
    assert_eq!(one, again);
    assert_eq!(store.held(), [one.clone(), two.clone()]);
    let inode = |f| std::fs::metadata(placed(home.path(), f)).unwrap().ino();
    assert_eq!(inode(&one), inode(&two));
    store.remove(&one).await.unwrap();
    store.prove(&two).await.unwrap();
    assert!(matches!(store.prove(&one).await, Err(ProveError::NotHeld(_))));
    store.remove(&two).await.unwrap();
    assert_eq!(store.held(), []);
    assert_eq!(files_below(&home.path().join("models")), Vec::<std::path::PathBuf>::new());
    assert_eq!(files_below(&home.path().join("blobs/data")), Vec::<std::path::PathBuf>::new());
    store.shutdown().await;
}

#[tokio::test]
async fn a_flipped_byte_is_caught_and_after_discarding_the_good_bytes_go_in_again() {
    let home = tempfile::tempdir().unwrap();
    let store = BlobStore::open(home.path(), options()).await.unwrap();
    let bytes = weights(3 << 20, 3);
    let file = add(&store, &bytes, "model.onnx").await.unwrap();
    flip(&placed(home.path(), &file), 1_234_567);
    assert!(matches!(store.prove(&file).await, Err(ProveError::WrongDigest { .. })));
    store.discard(&file).await.unwrap();
    assert_eq!(store.held(), []);
    assert_eq!(store.missing(&file).await.unwrap(), file.size);
    assert_eq!(add(&store, &bytes, "model.onnx").await.unwrap(), file);
    store.prove(&file).await.unwrap();
    store.shutdown().await;
}

#[tokio::test]
async fn a_shortened_file_is_caught_and_after_discarding_the_good_bytes_go_in_again() {
    let home = tempfile::tempdir().unwrap();
    let store = BlobStore::open(home.path(), options()).await.unwrap();
    let bytes = weights(3 << 20, 13);
    let file = add(&store, &bytes, "model.onnx").await.unwrap();
    shorten(&placed(home.path(), &file), 1_234_567);
    let error = store.prove(&file).await.unwrap_err();
    assert!(matches!(error, ProveError::WrongLength { found: ByteSize(1_234_567), .. }), "{error}");
    assert!(error.is_damage());
    store.discard(&file).await.unwrap();
    assert_eq!(store.held(), []);
    assert_eq!(store.missing(&file).await.unwrap(), file.size);
    assert_eq!(add(&store, &bytes, "model.onnx").await.unwrap(), file);
    store.prove(&file).await.unwrap();
    store.shutdown().await;
}

#[tokio::test]
async fn a_file_removed_from_models_is_named_anew_while_the_store_has_its_bytes() {
    let home = tempfile::tempdir().unwrap();
    let store = BlobStore::open(home.path(), options()).await.unwrap();
    let bytes = weights(2 << 20, 14);
    let file = add(&store, &bytes, "model.onnx").await.unwrap();
    let path = placed(home.path(), &file);
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    store.prove(&file).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    // A link in its place is not followed, but replaced.
    let elsewhere = home.path().join("elsewhere");
    std::fs::write(&elsewhere, &bytes).unwrap();
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    store.prove(&file).await.unwrap();
    assert!(std::fs::symlink_metadata(&path).unwrap().is_file());
    store.shutdown().await;
}

#[tokio::test]
async fn a_file_whose_bytes_are_gone_too_is_caught_and_after_discarding_goes_in_again() {
    let home = tempfile::tempdir().unwrap();
    let store = BlobStore::open(home.path(), options()).await.unwrap();
    let bytes = weights(2 << 20, 15);
    let file = add(&store, &bytes, "model.onnx").await.unwrap();
    std::fs::remove_dir_all(home.path().join("models")).unwrap();
    std::fs::remove_file(home.path().join(format!("blobs/data/{}.data", file.blake3))).unwrap();
    let error = store.prove(&file).await.unwrap_err();
    assert!(matches!(error, ProveError::Gone(_)) && error.is_damage(), "{error}");
    store.discard(&file).await.unwrap();
    assert_eq!(store.held(), []);
    assert_eq!(store.missing(&file).await.unwrap(), file.size);
    assert_eq!(add(&store, &bytes, "model.onnx").await.unwrap(), file);
    store.prove(&file).await.unwrap();
    store.shutdown().await;
}

#[tokio::test]
async fn adding_good_bytes_over_a_damaged_copy_mends_it() {
    let home = tempfile::tempdir().unwrap();
    let store = BlobStore::open(home.path(), options()).await.unwrap();
    let bytes = weights(1 << 20, 4);
    let file = add(&store, &bytes, "model.onnx").await.unwrap();
    flip(&placed(home.path(), &file), 9);
    add(&store, &bytes, "model.onnx").await.unwrap();
    store.prove(&file).await.unwrap();
    store.shutdown().await;
}

#[tokio::test]
async fn only_regular_files_with_bytes_in_them_are_added() {
    let home = tempfile::tempdir().unwrap();
    let store = BlobStore::open(home.path(), options()).await.unwrap();
    let name = "model.onnx".parse().unwrap();
    assert!(matches!(store.add_file(home.path(), &name).await, Err(AddError::NotAFile(_))));
    assert!(matches!(store.add_file(Path::new("/dev/zero"), &name).await, Err(AddError::NotAFile(_))));
    assert!(matches!(store.add_file(&home.path().join("none"), &name).await, Err(AddError::Io { .. })));
    assert!(matches!(add(&store, b"", "model.onnx").await, Err(AddError::Empty(_))));
    assert_eq!(store.held(), []);
    store.shutdown().await;
}

#[tokio::test]
async fn without_room_nothing_is_written_and_the_store_lives_on() {
    let home = tempfile::tempdir().unwrap();
    let all_but_a_little = Options { margin: ByteSize(1 << 62), ..options() };
    let store = BlobStore::open(home.path(), all_but_a_little).await.unwrap();
    let refused = add(&store, &weights(1 << 20, 5), "model.onnx").await;
    assert!(matches!(refused, Err(AddError::NoSpace { need, have }) if need > have));
    assert_eq!(files_below(&home.path().join("blobs/incoming")), Vec::<std::path::PathBuf>::new());
    assert_eq!(files_below(&home.path().join("models")), Vec::<std::path::PathBuf>::new());
    store.shutdown().await;
}

#[tokio::test]
async fn what_is_held_is_held_after_a_restart_and_without_the_cache_too() {
    let home = tempfile::tempdir().unwrap();
    let bytes = weights(2 << 20, 6);
    let store = BlobStore::open(home.path(), options()).await.unwrap();
    let file = add(&store, &bytes, "model.onnx").await.unwrap();
    store.shutdown().await;

    let store = BlobStore::open(home.path(), options()).await.unwrap();
    assert_eq!(store.held(), std::slice::from_ref(&file));
    store.prove(&file).await.unwrap();
    store.shutdown().await;

    std::fs::remove_dir_all(home.path().join("blobs")).unwrap();
    let store = BlobStore::open(home.path(), options()).await.unwrap();
    assert_eq!(store.held(), std::slice::from_ref(&file), "proven and adopted");
    assert_eq!(store.missing(&file).await.unwrap(), ByteSize(0));
    store.shutdown().await;

    std::fs::remove_dir_all(home.path().join("blobs")).unwrap();
    flip(&placed(home.path(), &file), 77);
    let store = BlobStore::open(home.path(), options()).await.unwrap();
    assert_eq!(store.held(), [], "not what its directory says");
    assert!(!placed(home.path(), &file).exists());
    store.shutdown().await;
}

#[tokio::test]
async fn a_home_that_moved_and_a_file_that_vanished_are_put_right_at_the_start() {
    let outer = tempfile::tempdir().unwrap();
    let (old, new) = (outer.path().join("old"), outer.path().join("new"));
    let store = BlobStore::open(&old, options()).await.unwrap();
    let one = add(&store, &weights(1 << 20, 7), "one.onnx").await.unwrap();
    let two = add(&store, &weights(1 << 20, 8), "two.onnx").await.unwrap();
    store.shutdown().await;
    std::fs::rename(&old, &new).unwrap();
    std::fs::remove_file(placed(&new, &two)).unwrap();
    let store = BlobStore::open(&new, options()).await.unwrap();
    assert_eq!(store.held(), std::slice::from_ref(&one));
    store.prove(&one).await.unwrap();
    assert_eq!(store.missing(&one).await.unwrap(), ByteSize(0));
    store.shutdown().await;
}

/// Needs to mount a file system of its own.
#[tokio::test]
async fn a_disk_that_fills_up_in_the_middle_leaves_nothing_half_written() {
    let home = tempfile::tempdir().unwrap();
    let mount =
        std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"]).arg(home.path()).output();
    if !mount.is_ok_and(|m| m.status.success()) {
        assert!(std::env::var_os("SEDGE_CI").is_none(), "mounting a tmpfs needs root");
        eprintln!("skipped: mounting a tmpfs needs root; run `sudo -E cargo test -p sedge-blobs`");
        return;
    }
    let outcome = tokio::spawn(fill_up(home.path().to_owned())).await;
    let unmounted = std::process::Command::new("umount").arg("-l").arg(home.path()).status().unwrap();
    assert!(unmounted.success());
    outcome.unwrap();
}

/// Something else takes the room after it was counted: the copy meets the end of the disk.
async fn fill_up(home: std::path::PathBuf) {
    let store = BlobStore::open(&home, options()).await.unwrap();
    let source = tempfile::tempdir().unwrap();
    let pipe = source.path().join("growing");
    std::fs::write(&pipe, weights(20 << 20, 9)).unwrap();
    let small = add(&store, &weights(1 << 20, 10), "small.onnx").await.unwrap();
    let name = "big.onnx".parse().unwrap();
    let mut adding = Box::pin(store.add_file(&pipe, &name));
    // The room is counted in the first poll, before the copy starts on another thread and gets far.
    let first = std::future::poll_fn(|cx| std::task::Poll::Ready(adding.as_mut().poll(cx))).await;
    assert!(first.is_pending());
    let hog = std::fs::File::create(home.join("hog")).unwrap();
    let mut room = 64 << 20;
    while room > 0 {
        // tmpfs allocates page by page; take what is left, however little.
        if rustix::fs::fallocate(&hog, rustix::fs::FallocateFlags::empty(), 0, room).is_ok() {
            break;
        }
        room = room * 9 / 10;
    }
    let refused = adding.await;
    assert!(matches!(refused, Err(AddError::NoSpace { .. })), "{refused:?}");
    assert_eq!(files_below(&home.join("blobs/incoming")), Vec::<std::path::PathBuf>::new());
    assert_eq!(store.held(), std::slice::from_ref(&small));
    drop(hog);
    std::fs::remove_file(home.join("hog")).unwrap();
    store.prove(&small).await.unwrap();
    store.add_file(&pipe, &name).await.unwrap();
    store.shutdown().await;
}

#[tokio::test]
async fn what_a_killed_import_left_is_gone_at_the_start_and_what_is_not_ours_stays() {
    let home = tempfile::tempdir().unwrap();
    let store = BlobStore::open(home.path(), options()).await.unwrap();
    let file = add(&store, &weights(1 << 20, 11), "model.onnx").await.unwrap();
    store.shutdown().await;
    let bytes = weights(1 << 20, 12);
    let orphan = home.path().join("blobs/data").join(format!("{}.data", file_of(&bytes, "x").blake3));
    let half_made = home.path().join("blobs/incoming/7.part");
    let note = home.path().join("models/README");
    for path in [&orphan, &half_made, &note] {
        std::fs::write(path, &bytes).unwrap();
    }
    let store = BlobStore::open(home.path(), options()).await.unwrap();
    assert!(!orphan.exists() && !half_made.exists() && note.exists());
    assert_eq!(store.held(), std::slice::from_ref(&file));
    store.prove(&file).await.unwrap();
    store.shutdown().await;
}
