//! The built binary against real servers: `--verify`, `--manifest` and `renkei verify`.
//!
//! What decides between a hash command and reading back is the far side's shell; each of these servers has another one.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};

use renkei_testkit::fault::{Fault, Plan};
use renkei_testkit::renkei::{Outcome, Running};
use renkei_testkit::sshd::{Account, Builder, Sftp};
use renkei_testkit::{FaultServer, Renkei, Sshd, Tree, wait};
use serde_json::Value;
use tempfile::TempDir;

/// More than what is read back without asking for a hash command.
const LARGE: u64 = 5 << 20;

struct Lab {
    renkei: Renkei,
    folder: TempDir,
}

impl Lab {
    fn new() -> Self {
        Self {
            renkei: Renkei::at(env!("CARGO_BIN_EXE_renkei")).unwrap(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// With a tree `src` of awkward names, sizes and links in its folder.
    fn with_tree() -> Self {
        let lab = Self::new();
        let mut tree = Tree::new(lab.path("src")).unwrap();
        tree.nasty_names().unwrap();
        tree.edge_sizes().unwrap();
        tree.file("large", LARGE).unwrap();
        fs::write(tree.path("-n"), "an option").unwrap();
        fs::create_dir_all(tree.path("sub/empty")).unwrap();
        fs::write(tree.path("sub/'quoted' \"$(id)\" `id` \\ \n; # *"), "shell").unwrap();
        fs::hard_link(tree.path("large"), tree.path("sub/also large")).unwrap();
        symlink("large", tree.path("link")).unwrap();
        lab
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run<A: AsRef<OsStr>>(&self, command: &str, sshd: &Sshd, words: impl IntoIterator<Item = A>) -> Outcome {
        let mut program = self.renkei.command();
        program.current_dir(self.folder.path());
        program.args([OsStr::new(command), OsStr::new("-F"), sshd.ssh_config().as_os_str()]);
        program.args(words);
        Running::start(program).unwrap().finish().unwrap()
    }

    fn cp<A: AsRef<OsStr>>(&self, sshd: &Sshd, words: impl IntoIterator<Item = A>) -> Outcome {
        self.run("cp", sshd, words)
    }

    fn check<A: AsRef<OsStr>>(&self, sshd: &Sshd, words: impl IntoIterator<Item = A>) -> Outcome {
        self.run("verify", sshd, words)
    }
}

#[track_caller]
fn ends_with(code: i32, said: &str, outcome: &Outcome) {
    assert_eq!(outcome.code(), Some(code), "{}", outcome.text());
    let text = outcome.text();
    assert!(text.contains(said), "no `{said}` in {text}");
}

fn account(files: &[(&str, &str)]) -> Builder {
    let account = files.iter().fold(Account::new(), |account, (name, content)| {
        account.home_file(*name, *content)
    });
    Sshd::builder().account(account)
}

/// Copies the tree into the home of the server's user and checks how it was verified.
#[track_caller]
fn copies_and_says(server: Builder, way: &str) {
    let (lab, sshd) = (Lab::with_tree(), server.start().unwrap());
    let outcome = lab.cp(&sshd, ["--verify", "src", "testhost:copy"]);
    ends_with(0, &format!(", verified ({way})"), &outcome);
}

#[test]
fn a_hash_command_is_used_where_it_works() {
    copies_and_says(account(&[]), "hash command");
}

#[test]
fn csh_is_as_good_a_shell() {
    let csh = Account::new().shell("/bin/tcsh");
    copies_and_says(Sshd::builder().account(csh), "hash command");
}

#[test]
fn a_shell_that_talks_is_not_believed() {
    let talks = account(&[(".bashrc", "echo Welcome to the cluster\n")]);
    copies_and_says(talks.sftp(Sftp::Internal), "read back");
}

#[test]
fn without_b3sum_and_sha256sum_all_is_read_back() {
    copies_and_says(poor("true"), "read back");
}

/// A login with `xargs` and no program besides but what `script` puts into `~/bin`.
fn poor(script: &str) -> Builder {
    let script = format!("mkdir -p ~/bin; ln -sf /usr/bin/xargs ~/bin/xargs; {script}; PATH=$HOME/bin\n");
    account(&[(".bashrc", &script)])
}

#[test]
fn without_b3sum_sha256sum_is_asked_and_the_source_read_once_more() {
    copies_and_says(poor("ln -sf /usr/bin/sha256sum ~/bin/sha256sum"), "hash command");
}

#[test]
fn what_sha256sum_cannot_prove_is_read_back() {
    let lies = "printf '#!/bin/sh\\n/usr/bin/sha256sum \"$@\" | /usr/bin/sed \"2s/^./x/;3,\\$s/^[0-8]/9/\"\\n' > ~/bin/sha256sum; \
                /bin/chmod +x ~/bin/sha256sum";
    copies_and_says(poor(lies), "read back");
    let swaps = lies.replace("2s/^./x/;3,", "3,");
    copies_and_says(poor(&swaps), "hash command and read back");
}

#[test]
fn where_no_command_may_run_all_is_read_back() {
    let forced = Sshd::builder()
        .option("ForceCommand internal-sftp")
        .sftp(Sftp::Internal);
    copies_and_says(forced.account(Account::new()), "read back");
}

/// A `b3sum` that does `script`; the real one is at hand under its path.
fn impostor(script: &str) -> Builder {
    let program = format!("#!/bin/sh\n{script}\n");
    let first = ("bin/b3sum", program.as_str());
    account(&[first, (".bashrc", "chmod +x ~/bin/b3sum; PATH=$HOME/bin:$PATH\n")])
}

#[test]
fn a_hash_command_that_answers_too_little_is_not_believed() {
    // Only where it is asked for one file does it say all.
    copies_and_says(impostor("/usr/bin/b3sum \"$@\" | head -n 1"), "read back");
}

#[test]
fn a_hash_command_that_fails_is_not_believed() {
    copies_and_says(impostor("/usr/bin/b3sum \"$@\"; [ $# -le 3 ]"), "read back");
}

#[test]
fn what_a_hash_command_says_against_a_file_is_read_back() {
    // Of nothing it knows the hash.
    let wrong_for_many = "/usr/bin/b3sum \"$@\" | /usr/bin/sed '2,$ y/0123456789/1234567890/'";
    copies_and_says(impostor(wrong_for_many), "read back");
}

#[test]
fn a_download_is_read_back_from_the_disk() {
    let (lab, sshd) = (Lab::with_tree(), Sshd::stock().unwrap());
    let mut far = OsString::from("testhost:");
    far.push(lab.path("src"));
    let outcome = lab.cp(&sshd, [OsStr::new("--verify"), &far, OsStr::new("copy")]);
    ends_with(0, ", verified (read back)", &outcome);
}

#[test]
fn between_servers_it_is_the_target_that_is_asked() {
    let (lab, sshd) = (Lab::with_tree(), account(&[]).start().unwrap());
    ends_with(0, "copied", &lab.cp(&sshd, ["src", "testhost:there"]));
    let words = ["--verify", "--manifest", "m", "testhost:there", "testhost:copy"];
    ends_with(0, ", verified (hash command)", &lab.cp(&sshd, words));
    ends_with(0, "checked", &lab.check(&sshd, ["m", "src"]));
}

#[test]
fn little_is_read_back_without_asking() {
    let (lab, sshd) = (Lab::new(), account(&[]).start().unwrap());
    fs::write(lab.path("a"), "little").unwrap();
    let outcome = lab.cp(&sshd, ["--verify", "a", "testhost:b"]);
    ends_with(0, ", verified (read back)", &outcome);
}

#[test]
fn what_was_skipped_is_proven_too() {
    let (lab, sshd) = (Lab::new(), Sshd::stock().unwrap());
    Tree::new(lab.path("src")).unwrap().small_files(20, 1000).unwrap();
    let far = format!("testhost:{}", lab.path("copy").display());
    let words = ["--update", "-T", "--verify", "--manifest", "m", "src", &far];
    ends_with(0, "20 files", &lab.cp(&sshd, words));
    ends_with(0, "20 skipped, verified (read back)", &lab.cp(&sshd, words));
    ends_with(0, "20 files", &lab.check(&sshd, ["m", &far]));
    // The same size and time, other content.
    let damaged = first_file(&lab.path("copy"));
    let file = File::options().write(true).open(&damaged).unwrap();
    let times = file.metadata().unwrap().modified().unwrap();
    file.write_all_at(b"damaged!", 0).unwrap();
    file.set_modified(times).unwrap();
    let outcome = lab.cp(&sshd, words);
    ends_with(1, "differs from the source", &outcome);
    assert!(
        outcome.stderr.contains(damaged.file_name().unwrap().to_str().unwrap()),
        "{}",
        outcome.text()
    );
}

fn first_file(dir: &Path) -> PathBuf {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = entries.collect();
    paths.sort();
    let first = paths.remove(0);
    if first.is_dir() { first_file(&first) } else { first }
}

fn number(outcome: &Outcome, key: &str) -> u64 {
    let summary: Value = outcome.events().pop().unwrap();
    summary[key]
        .as_u64()
        .unwrap_or_else(|| panic!("no {key}: {}", outcome.text()))
}

#[test]
fn a_file_that_arrived_wrong_fails_and_is_sent_again_by_the_same_command() {
    let lab = Lab::new();
    // When it is read back the file is longer than what was sent.
    let server = FaultServer::start(&Plan::new().with(Fault::EndlessFiles)).unwrap();
    fs::write(lab.path("a"), "content").unwrap();
    let far = format!("testhost:{}", lab.path("b").display());
    let words = ["--verify", "--json", "a", &far];
    let outcome = lab.cp(server.sshd(), words);
    ends_with(1, "the target differs from what was sent", &outcome);
    server.set_plan(&Plan::new()).unwrap();
    let outcome = lab.cp(server.sshd(), words);
    ends_with(0, "\"verified\":\"read_back\"", &outcome);
    assert_eq!(number(&outcome, "sent_bytes"), 7, "{}", outcome.text());
}

/// Starts a slow copy whose file is read back, and waits until the file stands, so that it is being verified.
fn verifying(lab: &Lab, sshd: &Sshd, words: &[&str]) -> Running {
    let mut program = lab.renkei.command();
    program.current_dir(lab.folder.path());
    program.args([OsStr::new("cp"), OsStr::new("-F"), sshd.ssh_config().as_os_str()]);
    program.args(words).args(["--limit", "4M"]);
    let mut running = Running::start(program).unwrap();
    wait::until("the copy to stand", || lab.path("copy").exists() || running.has_ended()).unwrap();
    assert!(!running.has_ended(), "{}", running.stderr());
    running
}

/// A server without hash commands, and a file that takes seconds to be read back.
fn slow() -> (Lab, Sshd, String) {
    let lab = Lab::new();
    let sshd = Sshd::builder()
        .option("ForceCommand internal-sftp")
        .sftp(Sftp::Internal);
    Tree::new(lab.path("src")).unwrap().file("large", 8 << 20).unwrap();
    let far = format!("testhost:{}", lab.path("copy").display());
    (lab, sshd.start().unwrap(), far)
}

#[test]
fn connections_that_are_lost_while_verifying_are_replaced() {
    let (lab, sshd, far) = slow();
    let running = verifying(&lab, &sshd, &["--verify", "src/large", &far]);
    sshd.drop_all_connections();
    ends_with(0, ", verified (read back)", &running.finish().unwrap());
}

#[test]
fn a_verification_that_was_interrupted_goes_on_without_sending_anything() {
    let (lab, sshd, far) = slow();
    let running = verifying(&lab, &sshd, &["--verify", "src/large", &far]);
    running.interrupt();
    ends_with(130, "", &running.finish().unwrap());
    let words = ["--verify", "--json", "--manifest", "m", "src/large", &far];
    let outcome = lab.cp(&sshd, words);
    ends_with(0, "\"verified\":\"read_back\"", &outcome);
    assert_eq!(number(&outcome, "sent_bytes"), 0, "{}", outcome.text());
    // What an earlier run brought is in the manifest too.
    ends_with(0, "1 file", &lab.check(&sshd, ["m", "copy"]));
}

// ---- manifests ------------------------------------------------------------------------------------------------------

#[test]
fn a_manifest_holds_at_either_side_until_something_is_damaged() {
    let (lab, sshd) = (Lab::with_tree(), Sshd::stock().unwrap());
    let far = format!("testhost:{}", lab.path("copy").display());
    ends_with(0, "not verified", &lab.cp(&sshd, ["--manifest", "m", "src", &far]));
    for target in [far.as_str(), "copy", "src"] {
        ends_with(0, "checked", &lab.check(&sshd, ["m", target]));
    }
    fs::write(lab.path("copy/extra"), "nobody asked").unwrap();
    ends_with(0, "checked", &lab.check(&sshd, ["m", "copy"]));

    let large = File::options().write(true).open(lab.path("copy/large")).unwrap();
    large.write_all_at(b"damaged", LARGE / 2).unwrap();
    fs::remove_file(lab.path("copy/-n")).unwrap();
    fs::remove_file(lab.path("copy/link")).unwrap();
    symlink("elsewhere", lab.path("copy/link")).unwrap();
    fs::remove_dir(lab.path("copy/sub/empty")).unwrap();
    for target in [far.as_str(), "copy"] {
        let outcome = lab.check(&sshd, ["m", target]);
        // The second name of the large file is the same file.
        ends_with(1, "5 failed", &outcome);
        for wrong in [
            "copy/-n: it is missing",
            "copy/large: it differs",
            "copy/link: it differs",
            "empty: it is missing",
        ] {
            assert!(outcome.stderr.contains(wrong), "{wrong}: {}", outcome.text());
        }
    }
}

#[test]
fn the_manifest_of_one_file_is_checked_by_its_name_or_its_directory() {
    let (lab, sshd) = (Lab::new(), Sshd::stock().unwrap());
    fs::create_dir(lab.path("dir")).unwrap();
    fs::write(lab.path("a"), "one").unwrap();
    ends_with(0, "copied", &lab.cp(&sshd, ["--manifest", "m", "a", "dir/b"]));
    for target in ["dir/b", "dir", "dir/"] {
        ends_with(0, "1 file", &lab.check(&sshd, ["m", target]));
    }
    ends_with(1, "no such file", &lab.check(&sshd, ["m", "nowhere"]));
}

#[test]
fn the_hashes_are_those_of_b3sum() {
    let (lab, sshd) = (Lab::with_tree(), Sshd::stock().unwrap());
    ends_with(0, "copied", &lab.cp(&sshd, ["--manifest", "m", "src", "copy"]));
    let mut b3sum = std::process::Command::new("b3sum");
    b3sum.arg("--no-names").arg(lab.path("src/large"));
    let printed = String::from_utf8(b3sum.output().unwrap().stdout).unwrap();
    let line = format!("{}  {LARGE}  large\n", printed.trim());
    assert!(fs::read_to_string(lab.path("m")).unwrap().contains(&line), "{line}");
}

#[test]
fn a_manifest_that_is_cut_off_or_edited_is_refused_before_anything_is_checked() {
    let (lab, sshd) = (Lab::with_tree(), Sshd::stock().unwrap());
    ends_with(0, "copied", &lab.cp(&sshd, ["--manifest", "m", "src", "copy"]));
    let whole = fs::read(lab.path("m")).unwrap();
    let last = whole[..whole.len() - 1]
        .iter()
        .rposition(|&byte| byte == b'\n')
        .unwrap()
        + 1;
    fs::write(lab.path("cut"), &whole[..last]).unwrap();
    ends_with(2, "cut off", &lab.check(&sshd, ["cut", "copy"]));
    let edited = String::from_utf8(whole).unwrap().replace("  large\n", "  larger\n");
    fs::write(lab.path("edited"), edited).unwrap();
    ends_with(2, "changed after", &lab.check(&sshd, ["edited", "copy"]));
    ends_with(2, "none", &lab.check(&sshd, ["none", "copy"]));
}

#[test]
fn a_manifest_that_cannot_be_written_is_refused_before_anything_is_copied() {
    let (lab, sshd) = (Lab::with_tree(), Sshd::stock().unwrap());
    let outcome = lab.cp(&sshd, ["--manifest", "no/such/directory/m", "src", "copy"]);
    ends_with(2, "manifest", &outcome);
    assert!(!lab.path("copy/large").exists());
}

#[test]
fn names_that_are_not_text_come_through() {
    let (lab, sshd) = (Lab::new(), account(&[]).start().unwrap());
    let mut tree = Tree::new(lab.path("src")).unwrap();
    tree.file("filler", LARGE).unwrap();
    for name in [&b"\xff\xfe"[..], b"new\nline", b"-", b"--", b" ", b"\\", b"tab\t"] {
        fs::write(tree.path(OsStr::from_bytes(name)), name).unwrap();
    }
    let outcome = lab.cp(&sshd, ["--verify", "--manifest", "m", "src", "testhost:copy"]);
    ends_with(0, "verified (hash command)", &outcome);
    ends_with(0, "8 files", &lab.check(&sshd, ["m", "src"]));
}
