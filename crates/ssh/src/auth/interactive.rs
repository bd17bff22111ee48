//! Passwords, and keyboard-interactive (RFC 4256) in as many rounds as the server likes.

use std::time::Duration;

use russh::client::{Handle, KeyboardInteractiveAuthResponse as Response, Prompt};

use super::{Login, LoginError, Outcome, Step};
use crate::prompt::{Echo, printable};
use crate::session::Callbacks;

/// A server that wants a new password sends a message that russh does not answer; slow directories and the delay after
/// a wrong password stay well below this.
const PASSWORD_REPLY: Duration = Duration::from_secs(45);

/// More rounds than any method has; a server must not be able to keep asking for ever.
const MAX_ROUNDS: usize = 32;

/// One attempt with a password.
pub(super) async fn password(
    login: &Login,
    handle: &mut Handle<Callbacks>,
    password: &str,
) -> Result<Outcome, LoginError> {
    let attempt = handle.authenticate_password(login.user(), password);
    match tokio::time::timeout(PASSWORD_REPLY, attempt).await {
        Ok(result) => Ok(Outcome::from(result?)),
        Err(_) => Err(LoginError::PasswordExpired),
    }
}

/// How an attempt at keyboard-interactive went.
pub(super) struct Attempt {
    pub outcome: Outcome,
    pub step: Step,
    /// Whether the server asked anything before it decided.
    pub asked: bool,
}

/// One attempt. `known` answers the first plain password question, if there is one; everything else goes to the person.
pub(super) async fn attempt(
    login: &Login,
    handle: &mut Handle<Callbacks>,
    known: Option<&str>,
) -> Result<Attempt, LoginError> {
    let mut response = handle
        .authenticate_keyboard_interactive_start(login.user(), None)
        .await?;
    let mut password: Option<String> = None;
    let mut person = false;
    let mut asked = false;
    for _ in 0..MAX_ROUNDS {
        let outcome = match response {
            Response::Success => Outcome::Accepted,
            Response::Failure {
                remaining_methods,
                partial_success: true,
            } => Outcome::Partial(remaining_methods),
            Response::Failure { remaining_methods, .. } => Outcome::Rejected(remaining_methods),
            Response::InfoRequest {
                name,
                instructions,
                prompts,
            } => {
                let plain = is_password(&prompts) && password.is_none() && !person;
                let answers = match known {
                    Some(known) if plain => vec![known.to_owned()],
                    _ => ask(login, &[name, instructions], &prompts).await?,
                };
                asked |= !prompts.is_empty();
                match answers.first() {
                    Some(answer) if plain => password = Some(answer.clone()),
                    Some(_) => person = true,
                    None => {}
                }
                response = handle.authenticate_keyboard_interactive_respond(answers).await?;
                continue;
            }
        };
        let step = Step::Interactive(password.filter(|_| !person));
        return Ok(Attempt { outcome, step, asked });
    }
    Err(LoginError::Closed)
}

/// The one question that may be answered again for the connections that follow. A one-time code also hides what is
/// typed, so the words decide.
fn is_password(prompts: &[Prompt]) -> bool {
    match prompts {
        [only] => {
            !only.echo
                && only.prompt.to_lowercase().contains("password")
                && !only.prompt.to_lowercase().contains("one-time")
        }
        _ => false,
    }
}

async fn ask(login: &Login, above: &[String; 2], prompts: &[Prompt]) -> Result<Vec<String>, LoginError> {
    for text in above.iter().filter(|text| !text.trim().is_empty()) {
        login.note(&printable(text));
    }
    let mut answers = Vec::with_capacity(prompts.len());
    for prompt in prompts {
        let echo = if prompt.echo { Echo::On } else { Echo::Off };
        answers.push(
            login
                .ask(format!("({}) {}", login.shown(), printable(&prompt.prompt)), echo)
                .await?,
        );
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lone_hidden_password_question_counts_as_a_password() {
        let prompt = |text: &str, echo| Prompt {
            prompt: text.into(),
            echo,
        };
        assert!(is_password(&[prompt("Password: ", false)]));
        assert!(is_password(&[prompt("user@host's password:", false)]));
        assert!(!is_password(&[prompt("Password: ", true)]));
        assert!(!is_password(&[prompt("Verification code: ", false)]));
        assert!(!is_password(&[prompt("One-time password: ", false)]));
        assert!(!is_password(&[prompt("Password: ", false), prompt("Code: ", false)]));
        assert!(!is_password(&[]));
    }
}
