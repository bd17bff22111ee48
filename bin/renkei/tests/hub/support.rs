//! A hub, and people who are signed in at it.

use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use renkei_testkit::process::kill_family;
use renkei_testkit::renkei::{Outcome, Renkei, Running};
use renkei_testkit::wait;
use serde_json::Value;
use tempfile::TempDir;

/// What everybody in these tests chooses.
pub const PASSWORD: &str = "correct horse battery";

/// No test but those of machines needs real ones.
const PRETENDED: &[&str] = &["--driver", "fake"];

/// A hub that runs until this is dropped.
pub struct Hub {
    up: Option<Running>,
    pub url: String,
    pub one_time_password: String,
    // Removed after the hub has ended.
    home: Renkei,
    data: TempDir,
    machines: Vec<String>,
}

impl Hub {
    /// Starts one with nothing in it but its first administrator.
    pub fn start() -> Self {
        Self::over(tempfile::tempdir().expect("a directory"))
    }

    /// Starts one whose host pretends as this script says.
    pub fn start_on(script: &str) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let folder = data.path().join("site/fake");
        // The agent uses no folder that others can read.
        let mut closed = std::fs::DirBuilder::new();
        closed.recursive(true).mode(0o700).create(&folder).expect("its folder");
        std::fs::write(folder.join("fake.json"), script).expect("its script");
        Self::over(data)
    }

    /// Starts one on what an earlier one, or a restore, has left.
    pub fn over(data: TempDir) -> Self {
        Self::with_machines(PRETENDED, data)
    }

    /// Starts one whose machines these options are about, such as `--driver`.
    pub fn with_machines(machines: &[&str], data: TempDir) -> Self {
        let home = Renkei::built().expect("the binary");
        let mut command = home.command();
        command
            .args(["up", "--listen", "127.0.0.1:0"])
            .args(machines)
            .arg("--data")
            .arg(data.path());
        let fresh = !data.path().join("hub.sqlite").exists();
        let mut up = Running::start(command).expect("it starts");
        let told = wait::until_some("the hub to listen", wait::PATIENCE, || {
            let told = up.stdout();
            // Only a new one has a password to tell.
            let complete = if fresh { "one-time password: " } else { "listening on " };
            (told.contains(complete) && told.ends_with('\n') || up.has_ended()).then_some(told)
        });
        let told = told.expect("it tells where it is");
        let after = |words: &str| {
            let rest = told
                .split_once(words)
                .unwrap_or_else(|| panic!("{told}\n{}", up.stderr()))
                .1;
            rest.lines().next().unwrap_or_default().to_owned()
        };
        let url = after("listening on ");
        let one_time_password = if fresh {
            after("one-time password: ")
        } else {
            String::new()
        };
        Self {
            up: Some(up),
            url,
            one_time_password,
            home,
            data,
            machines: machines.iter().map(|word| (*word).to_owned()).collect(),
        }
    }

    /// Ends it in order.
    pub fn stop(&mut self) {
        if let Some(up) = self.up.take() {
            up.interrupt();
            let outcome = up.finish().expect("it ends");
            assert!(outcome.status.success(), "{}", outcome.text());
        }
    }

    /// Kills all its processes at once.
    pub fn kill(&mut self) {
        if let Some(up) = self.up.take() {
            kill_family(up.pid());
        }
    }

    /// Starts it again where it was.
    pub fn start_again_here(&mut self) {
        let listen = self.url.trim_start_matches("http://").to_owned();
        self.start_again(&listen);
    }

    /// Starts it again, at this address.
    pub fn start_again(&mut self, listen: &str) {
        let mut command = self.home.command();
        command
            .args(["up", "--listen", listen])
            .args(&self.machines)
            .arg("--data")
            .arg(self.data.path());
        let up = Running::start(command).expect("it starts");
        wait::until("the hub to listen again", || up.stdout().contains("listening on ")).expect("it listens");
        self.up = Some(up);
    }

    /// Ends it, and gives what it has left.
    pub fn into_data(mut self) -> TempDir {
        self.stop();
        let empty = tempfile::tempdir().expect("a directory");
        std::mem::replace(&mut self.data, empty)
    }

    /// Where its data are.
    pub fn data(&self) -> &std::path::Path {
        self.data.path()
    }

    /// Its administrator, signed in with a password of their own.
    pub fn administrator(&self) -> Person {
        let person = self.person();
        let words = ["login", "--user", "admin", "--password-stdin"];
        let said = person.done_with(&words, &format!("{}\n{PASSWORD}\n", self.one_time_password));
        assert!(said.contains("as admin until"), "{said}");
        person
    }

    /// Somebody who has not signed in.
    pub fn person(&self) -> Person {
        Person {
            renkei: Renkei::built().expect("the binary"),
            url: self.url.clone(),
            token: None,
        }
    }

    /// Somebody new, signed in, in no project.
    pub fn member(&self, administrator: &Person, name: &str) -> Person {
        let made = administrator.json(&["user", "create", name]);
        let first = made["one_time_password"].as_str().expect("a password");
        let person = self.person();
        let words = ["login", "--user", name, "--password-stdin"];
        person.done_with(&words, &format!("{first}\n{PASSWORD}\n"));
        person
    }
}

impl Hub {
    /// Ends it, however that goes: a test that fails is not to fail again here.
    pub fn leave(&mut self) {
        if let Some(up) = self.up.take() {
            up.interrupt();
            let _ = up.finish();
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Somebody with a home of their own.
pub struct Person {
    renkei: Renkei,
    pub url: String,
    token: Option<String>,
}

impl Person {
    /// The same machine, with a token in the environment.
    pub fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// The file that remembers sessions.
    pub fn profile(&self) -> PathBuf {
        self.renkei.home().join(".config/renkei/hub.json")
    }

    /// Runs a command that nobody at a terminal sees: it has none.
    pub fn run(&self, words: &[&str]) -> Outcome {
        self.run_with(words, "")
    }

    /// With this on standard input.
    pub fn run_with(&self, words: &[&str], input: &str) -> Outcome {
        let mut command = self.command("setsid");
        command.arg("--wait").arg(self.renkei.program()).args(words);
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        writer.write_all(input.as_bytes()).expect("it fits into the pipe");
        drop(writer);
        command.stdin(Stdio::from(reader));
        Running::start(command).expect("it starts").finish().expect("it ends")
    }

    /// A program in this person's environment.
    pub fn command(&self, program: &str) -> Command {
        let mut command = self.renkei.prepare(Command::new(program));
        command
            .env("RENKEI_HUB", &self.url)
            .env_remove("RENKEI_PROJECT")
            .env_remove("RENKEI_TOKEN");
        command.envs(self.token.iter().map(|token| ("RENKEI_TOKEN", token)));
        command
    }

    /// Where the program is.
    pub fn program(&self) -> &std::path::Path {
        self.renkei.program()
    }

    /// What it prints when it succeeds.
    pub fn done(&self, words: &[&str]) -> String {
        self.done_with(words, "")
    }

    /// With this on standard input.
    pub fn done_with(&self, words: &[&str], input: &str) -> String {
        let outcome = self.run_with(words, input);
        assert_eq!(outcome.code(), Some(0), "{words:?}: {}", outcome.text());
        outcome.stdout
    }

    /// The one JSON value that it prints when it succeeds.
    pub fn json(&self, words: &[&str]) -> Value {
        let told = self.done(&[words, &["--json"]].concat());
        serde_json::from_str(&told).unwrap_or_else(|error| panic!("{words:?}: {error}: {told}"))
    }

    /// What it complains about when it ends with this code.
    pub fn refused(&self, code: i32, words: &[&str]) -> String {
        let outcome = self.run(words);
        assert_eq!(outcome.code(), Some(code), "{words:?}: {}", outcome.text());
        outcome.stderr
    }
}
