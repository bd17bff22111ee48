use std::os::unix::fs::PermissionsExt as _;

use renkei_types::template::TemplateFacts;
use renkei_types::tree_hash::hash_whole;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;

fn folder() -> (TempDir, Images) {
    let folder = tempfile::tempdir().unwrap();
    let images = Images::open(folder.path()).unwrap();
    (folder, images)
}

fn added(folder: &TempDir, images: &Images, text: &str) -> Digest {
    let file = folder.path().join("given");
    fs::write(&file, text).unwrap();
    images.add(&file).unwrap()
}

fn bundle(disk: Digest) -> Bundle {
    Bundle {
        disk,
        virtual_bytes: 1 << 30,
        boot: None,
        facts: TemplateFacts::default(),
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_file_lies_under_its_digest_and_twice_is_once() {
    let (folder, images) = folder();
    let digest = added(&folder, &images, "disk");
    let inode = |digest| std::os::unix::fs::MetadataExt::ino(&images.path(digest).metadata().unwrap());
    let first = inode(&digest);
    assert_eq!(digest, hash_whole(b"disk"));
    assert_eq!(fs::read(images.path(&digest)).unwrap(), b"disk");
    assert_eq!(added(&folder, &images, "disk"), digest);
    assert_eq!(inode(&digest), first);
    assert_eq!(names(&images.files), [".lock".to_owned(), digest.to_string()]);
}

#[test]
fn others_may_read_what_nobody_may_write() {
    let (folder, images) = folder();
    let path = images.path(&added(&folder, &images, "disk"));
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o222, 0);
}

#[test]
fn a_large_file_is_the_same_after_it() {
    let (folder, images) = folder();
    let text = "0123456789abcde".repeat(300_000);
    let digest = added(&folder, &images, &text);
    assert_eq!(hash_whole(&fs::read(images.path(&digest)).unwrap()), digest);
}

#[test]
fn a_file_that_lost_its_end_is_put_there_anew() {
    let (folder, images) = folder();
    let digest = added(&folder, &images, "disk");
    fs::remove_file(images.path(&digest)).unwrap();
    fs::write(images.path(&digest), "di").unwrap();
    added(&folder, &images, "disk");
    assert_eq!(fs::read(images.path(&digest)).unwrap(), b"disk");
}

#[test]
fn what_a_crash_left_goes_and_what_others_put_there_stays() {
    let (folder, images) = folder();
    let left = images.files.join(format!(".new-{}", Uuid::now_v7().simple()));
    fs::write(&left, "half").unwrap();
    fs::write(images.files.join(".new-ideas"), "mine").unwrap();
    fs::write(images.files.join("notes"), "mine").unwrap();
    Images::open(folder.path()).unwrap();
    assert_eq!(names(&images.files), [".lock", ".new-ideas", "notes"]);
}

#[test]
fn what_is_being_written_is_not_swept() {
    let (folder, images) = folder();
    let draft = images.files.join(format!(".new-{}", Uuid::now_v7().simple()));
    fs::write(&draft, "half").unwrap();
    let writing = File::open(images.files.join(".lock")).unwrap();
    writing.lock_shared().unwrap();
    Images::open(folder.path()).unwrap();
    assert!(draft.exists());
    drop(writing);
    Images::open(folder.path()).unwrap();
    assert!(!draft.exists());
}

#[test]
fn a_file_that_cannot_be_read_leaves_nothing() {
    let (folder, images) = folder();
    let error = images.add(folder.path()).unwrap_err();
    assert!(
        error.to_string().contains(&folder.path().display().to_string()),
        "{error}"
    );
    assert_eq!(names(&images.files), [".lock"]);
}

#[test]
fn templates_and_images_are_found_again() {
    let (folder, images) = folder();
    let (kernel, disk) = (added(&folder, &images, "kernel"), added(&folder, &images, "disk"));
    let boot = Boot {
        kernel,
        initrd: None,
        command_line: "console=ttyS0".to_owned(),
    };
    let whole = Bundle {
        boot: Some(boot),
        ..bundle(disk)
    };
    let id = ImageId(Uuid::now_v7());
    images.put_template("00_Ubuntu 22/04", &whole).unwrap();
    images.put_image(id, &bundle(disk)).unwrap();
    let again = Images::open(folder.path()).unwrap();
    assert_eq!(again.template("00_Ubuntu 22/04").unwrap(), Some(whole));
    assert_eq!(again.image(id).unwrap(), Some(bundle(disk)));
    assert_eq!(again.template("other").unwrap(), None);
    assert_eq!(again.image(ImageId(Uuid::now_v7())).unwrap(), None);
}

#[test]
fn a_template_is_replaced_at_once() {
    let (folder, images) = folder();
    let (old, new) = (added(&folder, &images, "old"), added(&folder, &images, "new"));
    images.put_template("small", &bundle(old)).unwrap();
    // A record is never written in place: whoever has it open goes on reading the old one.
    let open = File::open(images.templates.join("small.json")).unwrap();
    images.put_template("small", &bundle(new)).unwrap();
    assert!(io::read_to_string(open).unwrap().contains(&old.to_string()));
    assert_eq!(images.template("small").unwrap(), Some(bundle(new)));
    assert_eq!(names(&images.templates), [".lock", "small.json"]);
}

#[test]
fn a_record_never_names_what_is_not_there() {
    let (folder, images) = folder();
    let absent = hash_whole(b"absent");
    let error = images.put_template("small", &bundle(absent)).unwrap_err();
    assert!(
        matches!(&error, ImagesError::Missing { digest, .. } if *digest == absent),
        "{error}"
    );
    assert_eq!(images.template("small").unwrap(), None);
    let disk = added(&folder, &images, "disk");
    images.put_template("small", &bundle(disk)).unwrap();
    fs::remove_file(images.path(&disk)).unwrap();
    let error = images.template("small").unwrap_err();
    assert!(error.to_string().contains(&disk.to_string()), "{error}");
}

#[test]
fn a_damaged_record_is_named() {
    let (_folder, images) = folder();
    fs::write(images.templates.join("small.json"), "{").unwrap();
    let error = images.template("small").unwrap_err();
    assert!(
        matches!(error, ImagesError::Parse { .. }) && error.to_string().contains("small.json"),
        "{error}"
    );
}

#[test]
fn a_record_of_something_else_is_not_believed() {
    let (folder, images) = folder();
    images
        .put_template("a", &bundle(added(&folder, &images, "disk")))
        .unwrap();
    fs::rename(images.templates.join("a.json"), images.templates.join("b.json")).unwrap();
    let error = images.template("b").unwrap_err();
    assert!(matches!(error, ImagesError::Other { .. }), "{error}");
}
