//! Logging in: which methods and keys are tried, in which order, and what is remembered for the next connection.
//!
//! The first login finds out what the server takes, with questions where need be. Every later one repeats exactly those
//! steps, so that a server's limit on attempts is not used up and no wrong password is sent twice.

mod agent;
mod interactive;
mod keys;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use russh::client::{AuthResult, Handle};
use russh::keys::HashAlg;
use russh::{MethodKind, MethodSet};

use agent::{Agent, Signer};
use keys::{Candidate, Holder};

use crate::config::{Method, Settings};
use crate::error::{ConnectError, ConnectErrorKind};
use crate::host_key::Trust;
use crate::options::Options;
use crate::prompt::{self, Echo, Prompt, PromptError};
use crate::session::Callbacks;

/// The server's list of signature algorithms comes with the end of the key exchange, or not at all.
const SIGNATURE_LIST: Duration = Duration::from_millis(300);

/// Why an attempt could not be carried through.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginError {
    #[error("the connection closed during the login")]
    Closed,
    #[error("no reply to the password")]
    PasswordExpired,
    #[error("SSH failed during the login")]
    Ssh(#[source] russh::Error),
    #[error("the agent did not sign")]
    Agent(#[source] russh::keys::Error),
    #[error("the key cannot sign: {0}")]
    Sign(String),
    #[error("the key {path} cannot be read")]
    Key { path: PathBuf, source: russh::keys::Error },
    #[error(transparent)]
    Prompt(#[from] PromptError),
}

impl From<russh::Error> for LoginError {
    fn from(error: russh::Error) -> Self {
        match error {
            russh::Error::SendError | russh::Error::RecvError => Self::Closed,
            other => Self::Ssh(other),
        }
    }
}

impl From<russh::SendError> for LoginError {
    fn from(_: russh::SendError) -> Self {
        Self::Closed
    }
}

/// What the server said to an attempt.
enum Outcome {
    Accepted,
    /// Accepted, and more is wanted.
    Partial(MethodSet),
    Rejected(MethodSet),
}

impl From<AuthResult> for Outcome {
    fn from(result: AuthResult) -> Self {
        match result {
            AuthResult::Success => Self::Accepted,
            AuthResult::Failure {
                remaining_methods,
                partial_success: true,
            } => Self::Partial(remaining_methods),
            AuthResult::Failure { remaining_methods, .. } => Self::Rejected(remaining_methods),
        }
    }
}

/// A step that a server accepted, ready to be repeated.
#[derive(Clone)]
enum Step {
    None,
    Key(Box<Candidate>),
    Password(String),
    /// With the answer, where it was one password; else a person is asked each time.
    Interactive(Option<String>),
}

/// A way to log in that works.
pub(crate) struct Proven {
    steps: Vec<Step>,
    /// An answer that was believed to be a password was refused the second time, so it was a code.
    answers_expire: AtomicBool,
}

impl Proven {
    fn new(mut steps: Vec<Step>) -> Self {
        // What is asked after a key or a password is a second factor, whatever the server calls it; to send a code
        // again would look like a wrong one.
        for step in steps.iter_mut().skip(1) {
            if let Step::Interactive(answer) = step {
                *answer = None;
            }
        }
        Self {
            steps,
            answers_expire: AtomicBool::new(false),
        }
    }

    /// Whether repeating it asks a person.
    pub(crate) fn needs_person(&self) -> bool {
        self.steps.iter().any(|step| match step {
            Step::Interactive(answer) => answer.is_none() || self.answers_expire.load(Ordering::Relaxed),
            Step::Key(candidate) => candidate.needs_touch(),
            Step::None | Step::Password(_) => false,
        })
    }
}

/// How to log in at one host.
pub(crate) struct Login {
    settings: Arc<Settings>,
    prompt: Option<Arc<dyn Prompt>>,
    password: Option<String>,
    passphrase: Option<String>,
}

/// The state of a first login.
#[derive(Default)]
struct Progress {
    steps: Vec<Step>,
    /// What the server would take; unknown before its first answer.
    offered: Option<MethodSet>,
    /// Keys offered already.
    tried: Vec<Vec<u8>>,
    /// Whether a password was refused, after which the given one is not sent again.
    password_refused: bool,
    /// The last thing that went wrong on our side.
    trouble: Option<LoginError>,
}

impl Login {
    pub(crate) fn new(settings: Arc<Settings>, options: &Options, prompt: &Arc<dyn Prompt>) -> Self {
        Self {
            prompt: (!settings.batch).then(|| Arc::clone(prompt)),
            settings,
            password: options.password.clone(),
            passphrase: options.passphrase.clone(),
        }
    }

    fn user(&self) -> &str {
        &self.settings.user
    }

    fn shown(&self) -> String {
        self.settings.shown()
    }

    async fn ask(&self, text: String, echo: Echo) -> Result<String, LoginError> {
        let prompt = self.prompt.as_ref().ok_or(PromptError::NoOne)?;
        Ok(prompt::put(prompt, move |prompt| prompt.ask(&text, echo)).await?)
    }

    fn note(&self, text: &str) {
        if let Some(prompt) = &self.prompt {
            prompt.note(text);
        }
    }

    /// Logs in for the first time.
    pub(crate) async fn first(&self, handle: &mut Handle<Callbacks>, trust: Trust) -> Result<Proven, ConnectError> {
        let mut progress = Progress::default();
        match self.search(handle, trust, &mut progress).await {
            Ok(true) => Ok(Proven::new(progress.steps)),
            Ok(false) => Err(self.refused(&progress)),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Tries everything allowed until the server is content; false if it never is.
    async fn search(
        &self,
        handle: &mut Handle<Callbacks>,
        trust: Trust,
        progress: &mut Progress,
    ) -> Result<bool, LoginError> {
        let mut agent = self.agent(handle).await;
        let keys = if self.settings.methods.contains(&Method::PublicKey) {
            keys::candidates(&self.settings, agent.as_mut()).await
        } else {
            Vec::new()
        };
        if keys.is_empty() {
            // Learns what the server offers, so that no one is asked for what it would not take. With a key at hand the
            // first offer of one tells the same without this round trip.
            if let Outcome::Accepted = self.note_outcome(handle.authenticate_none(self.user()).await?.into(), progress)
            {
                progress.steps.push(Step::None);
                return Ok(true);
            }
        }
        loop {
            let steps = progress.steps.len();
            for method in &self.settings.methods {
                if *method != Method::PublicKey && trust == Trust::Unproven || !offers(progress, *method) {
                    continue;
                }
                let accepted = match method {
                    Method::PublicKey => self.keys(handle, &keys, &mut agent, progress).await?,
                    Method::KeyboardInteractive => self.interactive(handle, progress).await?,
                    Method::Password => self.passwords(handle, progress).await?,
                };
                if accepted {
                    return Ok(true);
                }
                if progress.steps.len() > steps {
                    break;
                }
            }
            if progress.steps.len() == steps {
                return Ok(false);
            }
        }
    }

    /// Keeps what the server now offers.
    fn note_outcome(&self, outcome: Outcome, progress: &mut Progress) -> Outcome {
        if let Outcome::Partial(methods) | Outcome::Rejected(methods) = &outcome {
            progress.offered = Some(methods.clone());
        }
        outcome
    }

    async fn agent(&self, handle: &Handle<Callbacks>) -> Option<Agent> {
        let mut agent = Agent::connect(self.settings.agent.as_deref()).await?;
        if let Some(binding) = handle.agent_session_binding() {
            agent.bind(binding).await;
        }
        Some(agent)
    }

    async fn keys(
        &self,
        handle: &mut Handle<Callbacks>,
        keys: &[Candidate],
        agent: &mut Option<Agent>,
        progress: &mut Progress,
    ) -> Result<bool, LoginError> {
        for key in keys {
            let key = match self.with_public(key).await {
                Ok(key) => key,
                Err(error) => {
                    progress.trouble = Some(error);
                    continue;
                }
            };
            let Some(blob) = key.blob() else { continue };
            let expired = key
                .certificate
                .as_ref()
                .is_some_and(|certificate| !agent::is_current(certificate));
            if expired || progress.tried.contains(&blob) || !offers(progress, Method::PublicKey) {
                continue;
            }
            progress.tried.push(blob);
            let outcome = match self.offer(handle, &key, agent.as_mut()).await {
                Ok(outcome) => outcome,
                Err(error @ (LoginError::Closed | LoginError::Ssh(_))) => return Err(error),
                // A key that cannot sign is no reason not to try the next.
                Err(error) => {
                    progress.trouble = Some(error);
                    continue;
                }
            };
            match self.note_outcome(outcome, progress) {
                Outcome::Accepted => {
                    progress.steps.push(Step::Key(Box::new(key)));
                    return Ok(true);
                }
                Outcome::Partial(_) => {
                    progress.steps.push(Step::Key(Box::new(key)));
                    return Ok(false);
                }
                Outcome::Rejected(_) if handle.is_closed() => return Err(LoginError::Closed),
                Outcome::Rejected(_) => {}
            }
        }
        Ok(false)
    }

    /// The candidate with its public half, for which an encrypted PEM file must be unlocked.
    async fn with_public(&self, key: &Candidate) -> Result<Candidate, LoginError> {
        let mut key = key.clone();
        if let (None, Holder::File(file)) = (&key.public, &key.holder) {
            key.public = Some(file.unlock(self).await?.public_key().clone());
        }
        Ok(key)
    }

    async fn offer(
        &self,
        handle: &mut Handle<Callbacks>,
        key: &Candidate,
        agent: Option<&mut Agent>,
    ) -> Result<Outcome, LoginError> {
        let Some(public) = key.public.clone() else {
            return Err(LoginError::Closed);
        };
        let hash = if public.algorithm().is_rsa() {
            self.rsa_hash(handle).await
        } else {
            None
        };
        let mut signer = Signer {
            login: self,
            candidate: key,
            agent,
        };
        let result = match key.certificate.clone() {
            Some(certificate) => {
                handle
                    .authenticate_certificate_with(self.user(), certificate, hash, &mut signer)
                    .await?
            }
            None => {
                handle
                    .authenticate_publickey_with(self.user(), public, hash, &mut signer)
                    .await?
            }
        };
        Ok(result.into())
    }

    /// SHA-512 unless the server says that it only knows SHA-256; SHA-1 never.
    async fn rsa_hash(&self, handle: &Handle<Callbacks>) -> Option<HashAlg> {
        let listed = tokio::time::timeout(SIGNATURE_LIST, handle.best_supported_rsa_hash()).await;
        let sha512 = self.settings.algorithms.accepts_user_key("rsa-sha2-512");
        match listed {
            Ok(Ok(Some(Some(hash)))) if sha512 => Some(hash),
            _ if sha512 => Some(HashAlg::Sha512),
            _ => Some(HashAlg::Sha256),
        }
    }

    async fn interactive(&self, handle: &mut Handle<Callbacks>, progress: &mut Progress) -> Result<bool, LoginError> {
        for _ in 0..self.settings.password_prompts.max(1) {
            let known = self.password.as_deref().filter(|_| !progress.password_refused);
            if progress.password_refused && self.password.is_some() || !offers(progress, Method::KeyboardInteractive) {
                break;
            }
            // A question that no one answers ends the login: the session waits for that answer and takes nothing else.
            let attempt = interactive::attempt(self, handle, known).await?;
            match self.note_outcome(attempt.outcome, progress) {
                Outcome::Accepted => {
                    progress.steps.push(attempt.step);
                    return Ok(true);
                }
                Outcome::Partial(_) => {
                    progress.steps.push(attempt.step);
                    return Ok(false);
                }
                Outcome::Rejected(_) if handle.is_closed() => return Err(LoginError::Closed),
                // A server that asks nothing has no such method, whatever it lists.
                Outcome::Rejected(_) if !attempt.asked => break,
                Outcome::Rejected(_) => progress.password_refused = true,
            }
        }
        Ok(false)
    }

    async fn passwords(&self, handle: &mut Handle<Callbacks>, progress: &mut Progress) -> Result<bool, LoginError> {
        for _ in 0..self.settings.password_prompts.max(1) {
            if progress.password_refused && self.password.is_some() || !offers(progress, Method::Password) {
                break;
            }
            let password = match &self.password {
                Some(password) => password.clone(),
                None => match self.ask(format!("{}'s password: ", self.shown()), Echo::Off).await {
                    Ok(password) => password,
                    Err(error) => {
                        progress.trouble = Some(error);
                        break;
                    }
                },
            };
            let outcome = interactive::password(self, handle, &password).await?;
            match self.note_outcome(outcome, progress) {
                Outcome::Accepted => {
                    progress.steps.push(Step::Password(password));
                    return Ok(true);
                }
                Outcome::Partial(_) => {
                    progress.steps.push(Step::Password(password));
                    return Ok(false);
                }
                Outcome::Rejected(_) if handle.is_closed() => return Err(LoginError::Closed),
                Outcome::Rejected(_) => progress.password_refused = true,
            }
        }
        Ok(false)
    }

    /// Logs in by what worked before.
    pub(crate) async fn again(&self, handle: &mut Handle<Callbacks>, proven: &Proven) -> Result<(), ConnectError> {
        for step in &proven.steps {
            let step = match step {
                Step::Interactive(_) if proven.answers_expire.load(Ordering::Relaxed) => &Step::Interactive(None),
                step => step,
            };
            let outcome = self.repeat(handle, step).await.map_err(|error| self.failed(error))?;
            match outcome {
                Outcome::Accepted => return Ok(()),
                Outcome::Partial(_) => {}
                Outcome::Rejected(_) if handle.is_closed() => return Err(self.failed(LoginError::Closed)),
                Outcome::Rejected(_) => {
                    if let Step::Interactive(Some(_)) = step {
                        proven.answers_expire.store(true, Ordering::Relaxed);
                    }
                    break;
                }
            }
        }
        Err(self.error("the server no longer accepts what the first connection logged in with"))
    }

    async fn repeat(&self, handle: &mut Handle<Callbacks>, step: &Step) -> Result<Outcome, LoginError> {
        match step {
            Step::None => Ok(handle.authenticate_none(self.user()).await?.into()),
            Step::Key(key) => {
                let mut agent = match key.holder {
                    Holder::Agent => self.agent(handle).await,
                    Holder::File(_) => None,
                };
                self.offer(handle, key, agent.as_mut()).await
            }
            Step::Password(password) => interactive::password(self, handle, password).await,
            Step::Interactive(answer) => Ok(interactive::attempt(self, handle, answer.as_deref()).await?.outcome),
        }
    }

    fn error(&self, text: impl Into<String>) -> ConnectError {
        ConnectError::new(ConnectErrorKind::Auth, self.shown(), text)
    }

    fn refused(&self, progress: &Progress) -> ConnectError {
        let offered: Vec<&str> = progress
            .offered
            .iter()
            .flat_map(|set| set.iter())
            .map(<&str>::from)
            .collect();
        let list = if offered.is_empty() {
            "nothing that this program knows".to_owned()
        } else {
            offered.join(", ")
        };
        let text = match (progress.password_refused, progress.tried.len()) {
            (true, _) => format!("the password was refused (the server offers {list})"),
            (false, 0) => format!("there is no key to offer (the server offers {list})"),
            (false, 1) => format!("the key was refused (the server offers {list})"),
            (false, count) => format!("{count} keys were refused (the server offers {list})"),
        };
        let only_others = offered
            .iter()
            .all(|name| ["gssapi-with-mic", "hostbased"].contains(name));
        let error = match &progress.trouble {
            // The question that could not be put is the reason, not the server.
            Some(LoginError::Prompt(prompt)) => {
                ConnectError::new(ConnectErrorKind::Prompt, self.shown(), "the login needs an answer")
                    .because(prompt.to_string())
            }
            Some(trouble) => self.error(text).because(trouble.to_string()),
            None => self.error(text),
        };
        if only_others {
            error.advise("try --ssh-command ssh, which has GSSAPI and host-based logins")
        } else {
            error
        }
    }

    fn failed(&self, error: LoginError) -> ConnectError {
        match error {
            LoginError::Prompt(_) => {
                ConnectError::new(ConnectErrorKind::Prompt, self.shown(), "the login needs an answer").because(error)
            }
            LoginError::Closed => ConnectError::new(
                ConnectErrorKind::Lost,
                self.shown(),
                "the connection closed during the login",
            ),
            LoginError::PasswordExpired => self
                .error("the server does not answer to the password")
                .advise("the password may have expired: log in once with ssh and set a new one"),
            other => self.error("the login failed").because(other),
        }
    }
}

/// Whether the server may take the method; before its first answer it may take any.
fn offers(progress: &Progress, method: Method) -> bool {
    let kind = match method {
        Method::PublicKey => MethodKind::PublicKey,
        Method::KeyboardInteractive => MethodKind::KeyboardInteractive,
        Method::Password => MethodKind::Password,
    };
    progress.offered.as_ref().is_none_or(|offered| offered.contains(&kind))
}
