//! Logging in: which methods and keys are tried, in which order, and what is remembered for the next connection.
//!
//! The first login finds out what the server takes, with questions where need be. Every later one repeats exactly those
//! steps, so that a server's limit on attempts is not used up and no wrong password is sent twice.

mod agent;
mod first;
mod interactive;
mod keys;
mod promise;
mod sec1;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use russh::MethodSet;
use russh::client::{AuthResult, Handle};
use russh::keys::HashAlg;
use tokio::sync::watch;

use agent::{Agent, Audience, Signer};
use keys::{Candidate, Holder};

use crate::config::Settings;
use crate::error::{ConnectError, ConnectErrorKind};
use crate::options::Options;
use crate::prompt::{self, Echo, Prompt, PromptError};
use crate::session::Callbacks;

pub(crate) use promise::{Promise, Redeemed};

/// The server's list of signature algorithms comes with the end of the key exchange, or not at all.
const SIGNATURE_LIST: Duration = Duration::from_millis(300);

/// Agents sign within milliseconds, forwarded ones within a round trip, smart cards within a second; nothing in the
/// protocol tells that a person was asked, but people take longer.
const CONFIRMATION: Duration = Duration::from_millis(1500);

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
    #[error(
        "the key {path} is encrypted in an old form that is not read here; `ssh-keygen -p -f {path}` writes it anew"
    )]
    OldForm { path: PathBuf },
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
            Step::Key(candidate) => candidate.needs_person(),
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
    promised: watch::Sender<Option<Promise>>,
}

impl Login {
    pub(crate) fn new(settings: Arc<Settings>, options: &Options, prompt: &Arc<dyn Prompt>) -> Self {
        Self {
            prompt: (!settings.batch).then(|| Arc::clone(prompt)),
            settings,
            password: options.password.clone(),
            passphrase: options.passphrase.clone(),
            promised: watch::Sender::new(None),
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

    async fn agent(&self, handle: &Handle<Callbacks>) -> Option<Agent> {
        let mut agent = Agent::connect(self.settings.agent.as_deref()).await?;
        if let Some(binding) = handle.agent_session_binding() {
            agent.bind(binding).await;
        }
        Some(agent)
    }

    async fn offer(
        &self,
        handle: &mut Handle<Callbacks>,
        key: &mut Candidate,
        agent: Option<&mut Agent>,
        audience: Audience,
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
            audience,
            waited: Duration::ZERO,
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
        key.confirmed = signer.waited > CONFIRMATION;
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

    /// Logs in by what worked before.
    pub(crate) async fn again(&self, handle: &mut Handle<Callbacks>, proven: &Proven) -> Result<(), ConnectError> {
        self.repeat_all(handle, proven, &proven.steps).await
    }

    async fn repeat_all(
        &self,
        handle: &mut Handle<Callbacks>,
        proven: &Proven,
        steps: &[Step],
    ) -> Result<(), ConnectError> {
        for step in steps {
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
                self.offer(handle, &mut Candidate::clone(key), agent.as_mut(), Audience::Nobody)
                    .await
            }
            Step::Password(password) => interactive::password(self, handle, password).await,
            Step::Interactive(answer) => Ok(interactive::attempt(self, handle, answer.as_deref()).await?.outcome),
        }
    }

    fn error(&self, text: impl Into<String>) -> ConnectError {
        ConnectError::new(ConnectErrorKind::Auth, self.shown(), text)
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
