//! The first login: everything that is allowed is tried until the server is content.

use russh::client::Handle;
use russh::{MethodKind, MethodSet};

use super::agent::{self, Agent, Audience};
use super::keys::{self, Candidate, Holder};
use super::{Login, LoginError, Outcome, Proven, Step, interactive};
use crate::config::Method;
use crate::error::ConnectError;
use crate::host_key::Trust;
use crate::prompt::Echo;
use crate::session::Callbacks;

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
    /// Logs in for the first time.
    pub(crate) async fn first(&self, handle: &mut Handle<Callbacks>, trust: Trust) -> Result<Proven, ConnectError> {
        let mut progress = Progress::default();
        match self.search(handle, trust, &mut progress).await {
            Ok(true) => Ok(Proven::new(progress.steps)),
            Ok(false) => Err(self.refused(&mut progress)),
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

    async fn keys(
        &self,
        handle: &mut Handle<Callbacks>,
        keys: &[Candidate],
        agent: &mut Option<Agent>,
        progress: &mut Progress,
    ) -> Result<bool, LoginError> {
        for key in keys {
            let mut key = match self.with_public(key).await {
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
            // What is asked for after another step may be different for another connection.
            let audience = if progress.steps.is_empty() {
                Audience::Others
            } else {
                Audience::Nobody
            };
            let outcome = match self.offer(handle, &mut key, agent.as_mut(), audience).await {
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

    fn refused(&self, progress: &mut Progress) -> ConnectError {
        let offered: Vec<&'static str> = progress
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
        let error = match progress.trouble.take() {
            // What could not be asked or signed here is the reason, not the server.
            Some(error @ LoginError::Prompt(_)) => return self.failed(error),
            Some(trouble) => self.error(format!("no key could be used ({text})")).because(trouble),
            None => self.error(text),
        };
        if only_others {
            error.advise("try --ssh-command ssh, which has GSSAPI and host-based logins")
        } else {
            error
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
