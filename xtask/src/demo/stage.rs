//! A hub with one host, of the demo alone: brings it up, and leaves nothing of it.

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use renkei_testkit::process;
use renkei_testkit::renkei::Running;
use renkei_testkit::wait;
use rustix::process::Signal;
use tempfile::TempDir;

use super::prompt::{Prompt, line, say};
use super::range::Range;
use crate::tool;

/// Where its folder is: not in memory as /tmp may be, and no folder above it is closed to the users that the hub and QEMU are.
const BELOW: &str = "/var/tmp";
/// For what takes seconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// The name of the file with both passwords.
const PASSWORDS: &str = "passwords";
/// The data folder's name.
pub const DATA: &str = "data";

/// `renkei up` that runs, with a prompt beside it that is signed in.
pub struct Stage {
    /// Where to type.
    pub prompt: Prompt,
    up: Running,
    told: usize,
    /// The network namespace of its machines; those of their gateways begin with it.
    namespace: String,
    folder: TempDir,
}

/// What came of bringing it up.
pub enum Brought {
    /// It runs real machines.
    Up(Box<Stage>),
    /// It cannot, and says why.
    Pretending(String),
}

impl Stage {
    /// Brings it up and signs in.
    pub fn bring_up(renkei: &Path, range: Range) -> Result<Brought> {
        let folder = tempfile::Builder::new()
            .prefix("renkei-demo-")
            .permissions(Permissions::from_mode(0o711))
            .tempdir_in(BELOW)?;
        let mut prompt = Prompt::new(renkei, folder.path())?;
        say(&format!("$ cd {}", folder.path().display()));
        let home = folder.path().join("home");
        DirBuilder::new().mode(0o700).create(&home)?;
        // The user's own session and settings stay as they are.
        prompt.export("HOME", &home.display().to_string());
        let data = folder.path().join(DATA);
        std::fs::create_dir(&data)?;
        let namespace = namespace(&data.join("site"))?;
        let mut stage = Self {
            up: start(&prompt, range)?,
            prompt,
            told: 0,
            namespace,
            folder,
        };
        match stage.sign_in() {
            Ok(None) => Ok(Brought::Up(Box::new(stage))),
            Ok(Some(why)) => {
                stage.end()?;
                Ok(Brought::Pretending(why))
            }
            Err(error) => Err(stage.failed(error)),
        }
    }

    /// Gives why no real machine can run, if so.
    fn sign_in(&mut self) -> Result<Option<String>> {
        let up = &mut self.up;
        let said = |up: &Running, what: &str| {
            let text = up.stdout();
            text.lines().find_map(|line| Some(line.split_once(what)?.1.to_owned()))
        };
        self.prompt.until("`renkei up` to be ready", PATIENCE, || {
            (said(up, "driver ").is_some() || up.has_ended()).then_some(())
        })?;
        self.up.stdout().lines().for_each(say);
        let find = |what: &str| said(&self.up, what).with_context(|| format!("`renkei up` does not say `{what}`"));
        let driver = find("driver ")?;
        if let Some(why) = driver.strip_prefix("fake: ") {
            return Ok(Some(why.to_owned()));
        }
        let (hub, password) = (find("listening on ")?, find("one-time password: ")?);
        let file = self.folder.path().join(PASSWORDS);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
        writeln!(file, "{password}\n{}", drawn()?)?;
        say("");
        say("in another terminal; the file `passwords` has the one-time password and a new one:");
        self.prompt.export("RENKEI_HUB", &hub);
        let words = ["renkei", "login", "--user", "admin", "--password-stdin"];
        self.prompt.run_with(&words, PASSWORDS)?;
        Ok(None)
    }

    /// Waits until somebody wants it to end. Fails if it ends by itself.
    pub fn go_on(&mut self) -> Result<()> {
        while !self.prompt.is_interrupted() {
            if self.up.has_ended() {
                bail!("`renkei up` has ended");
            }
            self.tell();
            // What is waited for are a person and a process; it goes on as soon as one of them has acted.
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Prints what `renkei up` has complained of since the last time.
    fn tell(&mut self) {
        let all = self.up.stderr();
        let whole = all.rfind('\n').map_or(0, |end| end + 1);
        all.get(self.told..whole).into_iter().flat_map(str::lines).for_each(say);
        self.told = self.told.max(whole);
    }

    /// Ends everything after `error`, which it gives back.
    pub fn failed(mut self, error: anyhow::Error) -> anyhow::Error {
        self.tell();
        // Ctrl-C at a terminal ends the command that runs too, which is not what went wrong.
        let error = self.prompt.go_on().err().unwrap_or(error);
        say(&format!("{error:#}; ending everything"));
        match self.end() {
            Ok(()) => error,
            Err(left) => error.context(format!("not everything is gone: {left:#}")),
        }
    }

    /// Destroys the machines, stops `renkei up`, and removes what is left.
    pub fn end(mut self) -> Result<()> {
        if let Err(error) = self.give_back() {
            say(&format!("{error:#}"));
        }
        self.tell();
        if !self.up.has_ended() {
            say("stopping `renkei up` as Ctrl-C does");
            self.up.interrupt();
        }
        let ended = self.up.finish()?;
        ended
            .stderr
            .get(self.told..)
            .into_iter()
            .flat_map(str::lines)
            .for_each(say);
        remove_namespaces(&self.namespace)?;
        let table = self.namespace.replace("renkei", "rk");
        if tool::works("nft", &["list", "table", "inet", &table]) {
            shown(&["nft", "delete", "table", "inet", &table])?;
        }
        say(&format!("$ rm -r {}", self.folder.path().display()));
        self.folder.close().context("cannot remove the demo's folder")
    }

    /// By the hub, in the order in which nothing is used any more by what is still there.
    fn give_back(&mut self) -> Result<()> {
        let lists: [(&[&str], &str, &[&str]); 3] = [
            (&["vm", "list"], "name", &["vm", "destroy"]),
            (&["dnat", "list", "-p", "lab"], "id", &["dnat", "delete", "-p", "lab"]),
            (
                &["segment", "list", "-p", "lab"],
                "name",
                &["segment", "delete", "-p", "lab"],
            ),
        ];
        for (list, name, remove) in lists {
            if self.up.has_ended() {
                bail!("`renkei up` has ended");
            }
            // Where the project is not there yet, there is nothing of it either.
            let Ok(all) = self.prompt.ask(list) else { continue };
            for one in all
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|one| one[name].as_str())
            {
                let words = [&["renkei"], remove, &[one, "--yes", "--wait"]].concat();
                self.prompt.run(&words)?;
            }
        }
        Ok(())
    }
}

fn start(prompt: &Prompt, range: Range) -> Result<Running> {
    let data = prompt.folder().join(DATA).display().to_string();
    let unusual = range.unusual();
    let mut words = vec!["renkei", "up", "--data", &data, "--listen", "127.0.0.1:0"];
    if let Some(range) = &unusual {
        words.extend(["--transit", range]);
    }
    say(&format!("$ {}", line(&words)));
    let mut command = prompt.command(&words);
    // At Ctrl-C the machines are destroyed first; then it is told to stop.
    command.process_group(0);
    Running::start(command)
}

/// As the agent calls it that has this folder.
fn namespace(site: &Path) -> Result<String> {
    let data = site.parent().context("the folder of a site has one above it")?;
    let whole = std::fs::canonicalize(data)?.join(site.file_name().unwrap_or_default());
    let mut hash = tempfile::NamedTempFile::new()?;
    hash.write_all(whole.as_os_str().as_encoded_bytes())?;
    let hash = tool::output(Command::new("b3sum").arg("--no-names").arg(hash.path()))?;
    Ok(format!("renkei-{}", hash.get(..8).context("`b3sum` prints no hash")?))
}

/// Removes the network namespaces of one agent, and whatever runs in them still: processes of machines that no hub could destroy.
fn remove_namespaces(switch: &str) -> Result<()> {
    let gateway = format!("{switch}-");
    let all = tool::output(Command::new("ip").args(["netns", "list"]))?;
    let names = all.lines().filter_map(|line| line.split_whitespace().next());
    for name in names.filter(|name| *name == switch || name.starts_with(&gateway)) {
        let living = || -> Vec<u32> {
            let pids = tool::output(Command::new("ip").args(["netns", "pids", name]));
            let pids = pids.unwrap_or_default();
            pids.lines().filter_map(|pid| pid.trim().parse().ok()).collect()
        };
        wait::until("the last processes to end", || {
            let living = living();
            living.iter().for_each(|pid| process::signal(*pid, Signal::KILL));
            living.is_empty()
        })?;
        shown(&["ip", "netns", "del", name])?;
    }
    Ok(())
}

fn shown(words: &[&str]) -> Result<()> {
    say(&format!("$ {}", line(words)));
    let Some((program, arguments)) = words.split_first() else {
        return Ok(());
    };
    tool::output(Command::new(program).args(arguments)).map(drop)
}

/// A password that nobody knows: 96 bits.
fn drawn() -> Result<String> {
    let mut bytes = [0; 12];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
