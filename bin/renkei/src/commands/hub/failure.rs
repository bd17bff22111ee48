//! Why a command came to nothing, what to tell the person or the program, and the exit code.

use std::io;
use std::path::PathBuf;

use renkei_transfer::ssh::PromptError;
use renkei_types::problem::{Problem, ProblemKind};
use serde_json::{Value, json};

use super::profile::ProfileError;
use super::template::NotBuilt;
use super::vm::NoLogin;
use crate::exit;
use crate::settings::hub::HubUrl;

/// What a library said.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Where a name was looked for, as the person named that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Within {
    /// Everywhere.
    Hub,
    /// In a project.
    Project(String),
    /// At a site.
    Site(String),
    /// In a segment of a project.
    Segment {
        /// Which.
        segment: String,
        /// Whose.
        project: String,
    },
}

impl Within {
    fn place(&self) -> String {
        match self {
            Self::Hub => String::new(),
            Self::Project(project) => format!(" in project `{project}`"),
            Self::Site(site) => format!(" at site `{site}`"),
            Self::Segment { segment, .. } => format!(" in segment `{segment}`"),
        }
    }

    /// For the command that lists what there is.
    fn options(&self) -> String {
        match self {
            Self::Hub => String::new(),
            Self::Project(project) => format!(" -p {project}"),
            Self::Site(site) => format!(" --site {site}"),
            Self::Segment { segment, project } => format!(" {segment} -p {project}"),
        }
    }
}

/// See the module.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The hub refused.
    #[error("{}", told(.0))]
    Refused(Box<Problem>),
    /// There is no connection, or it broke.
    #[error("the hub at {hub} cannot be reached\nhint: is it running? `--hub URL` or RENKEI_HUB name another one")]
    Unreachable {
        /// Which.
        hub: HubUrl,
        /// Why.
        source: Cause,
    },
    /// The answer did not come.
    #[error(
        "the hub at {hub} did not answer within {seconds} s\nhint: what was asked may have been done; look before \
             asking again"
    )]
    Silent {
        /// Which.
        hub: HubUrl,
        /// How long was waited.
        seconds: u64,
    },
    /// Whatever answered is no hub that this program knows.
    #[error("what {hub} answered is not understood\nhint: is a hub there, of the version of this program?")]
    Answer {
        /// Which.
        hub: HubUrl,
        /// What is wrong with it.
        source: Cause,
    },
    /// Nobody is signed in there.
    #[error("not signed in at {0}\nhint: `renkei login`, or a token in RENKEI_TOKEN")]
    NotSignedIn(HubUrl),
    /// The authorities that the hub's certificate is to be checked against.
    #[error("cannot use the authorities in `{}`\nhint: `renkei login --ca FILE` names another file", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Cause,
    },
    /// A file whose text is to be sent.
    #[error("cannot read `{}` as text", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A name that nothing has.
    #[error(
        "there is no {noun} `{name}`{}, or you may not see it\nhint: `renkei {command} list{}` shows what there is",
        .within.place(),
        .within.options()
    )]
    Missing {
        /// What was looked for.
        noun: &'static str,
        /// By which name.
        name: String,
        /// The command about such things.
        command: &'static str,
        /// Where it was looked for.
        within: Within,
    },
    /// A name that several have.
    #[error("`{name}` may be any of {} {noun}s\nhint: give the id{or}: {}", ids.len(), ids.join(", "))]
    Ambiguous {
        /// What was looked for.
        noun: &'static str,
        /// By which name.
        name: String,
        /// Whose name it is.
        ids: Vec<String>,
        /// What else would tell them apart.
        or: &'static str,
    },
    /// Destroys, and there is no terminal to ask at.
    #[error(
        "{0} has to be confirmed, and there is nobody to ask\nhint: `--yes` confirms it, `--plan` shows what it would do"
    )]
    Unconfirmed(String),
    /// The person said no.
    #[error("nothing was changed")]
    Declined,
    /// A question.
    #[error("the question could not be asked\nhint: `--password-stdin` reads from standard input")]
    Question(#[source] PromptError),
    /// Standard input does not hold what it should.
    #[error("standard input holds no {0}\nhint: one line each")]
    Input(&'static str),
    /// The new password and its repetition.
    #[error("the two passwords are not the same")]
    Repetition,
    /// The system gives no random bytes.
    #[error("a password cannot be made up: {0}")]
    Random(getrandom::Error),
    /// The hub says that something failed; what it is has been printed.
    #[error("{0}")]
    Ended(String),
    /// Nobody can log in to a machine.
    #[error(transparent)]
    NoLogin(#[from] NoLogin),
    /// A template was not built.
    #[error(transparent)]
    NotBuilt(#[from] NotBuilt),
    /// The file that remembers sessions.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// Standard output or input.
    #[error("cannot read or write what the command is about")]
    Stream(#[source] io::Error),
    /// The system.
    #[error("cannot start")]
    Start(#[source] io::Error),
}

impl Failure {
    /// The exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(problem) if problem.kind == ProblemKind::Unauthenticated => exit::NOT_CONNECTED,
            Self::Unreachable { .. } | Self::Silent { .. } | Self::NotSignedIn(_) => exit::NOT_CONNECTED,
            _ => exit::FAILED,
        }
    }

    /// For programs: the problem as the hub wrote it, or one of the same form.
    pub fn json(&self) -> Value {
        let kind = match self {
            Self::Refused(problem) => return json!(problem),
            Self::Unreachable { .. } => "unreachable",
            Self::Silent { .. } => "silent",
            Self::Answer { .. } => "not-understood",
            Self::NotSignedIn(_) => "unauthenticated",
            Self::File { .. } => "file",
            Self::Missing { .. } => "not-found",
            Self::Ambiguous { .. } => "ambiguous",
            Self::Unconfirmed(_) | Self::Declined => "unconfirmed",
            _ => "failed",
        };
        let text = crate::printer::chain(self);
        let (title, rest) = text.split_once('\n').unwrap_or((&text, ""));
        let mut value = json!({ "type": kind, "title": title });
        if let Some(hint) = rest.lines().find_map(|line| line.strip_prefix("hint: ")) {
            value["hint"] = json!(hint);
        }
        value
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Refused(Box::new(problem))
    }
}

/// A problem for people.
pub fn told(problem: &Problem) -> String {
    let mut text = problem.title.clone();
    let mut add = |word: &str, value: Option<&str>| {
        if let Some(value) = value {
            text.push_str(&format!("\n{word}: {value}"));
        }
    };
    add("field", problem.field.as_deref());
    add("hint", problem.hint.as_deref());
    // Only of use to those who can read the hub's log, where something there went wrong.
    add("request", problem.request.as_deref().filter(|_| problem.status >= 500));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_with_its_field_and_hint() {
        let problem = Problem::new(ProblemKind::Conflict, "another one has the same `name`");
        let mut problem = problem.field("name").hint("take another name");
        problem.request = Some("f00".to_owned());
        assert_eq!(
            told(&problem),
            "another one has the same `name`\nfield: name\nhint: take another name"
        );
        problem.status = 503;
        assert!(told(&problem).ends_with("\nrequest: f00"));
    }

    #[test]
    fn who_is_not_known_to_the_hub_is_not_signed_in() {
        let code = |kind| Failure::from(Problem::new(kind, "x")).exit_code();
        assert_eq!(code(ProblemKind::Unauthenticated), exit::NOT_CONNECTED);
        assert_eq!(code(ProblemKind::Forbidden), exit::FAILED);
    }

    #[test]
    fn programs_get_every_failure_in_the_same_form() {
        let name = "lab".to_owned();
        let missing = Failure::Missing {
            noun: "project",
            name,
            command: "project",
            within: Within::Hub,
        };
        let value = missing.json();
        assert_eq!(value["type"], "not-found");
        assert_eq!(value["hint"], "`renkei project list` shows what there is");
        let refused = Failure::from(Problem::new(ProblemKind::Frozen, "frozen"));
        assert_eq!(refused.json()["type"], "frozen");
        assert_eq!(refused.json()["status"], 423);
    }
}
