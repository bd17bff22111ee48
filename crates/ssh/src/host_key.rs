//! What to do with the key that a host shows: the policy over [`known_hosts`](crate::known_hosts).
//!
//! The first connection settles it, with a question where the configuration says to ask; every later one must be shown
//! the same key and is not looked up again. It runs inside the key exchange, before anything is said about the user.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use russh::keys::{Algorithm, HashAlg, PublicKey, PublicKeyBase64, PublicKeyOrCertificate};

use crate::config::{Algorithms, Settings, StrictHostKeyChecking};
use crate::error::{ConnectError, ConnectErrorKind};
use crate::known_hosts::{self, HostKey, KnownHosts, Name, NameForm, Place, Verdict};
use crate::prompt::{self, Prompt};

/// Whether the host is who it says: without that no password may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    Proven,
    /// `StrictHostKeyChecking no` let a changed key pass.
    Unproven,
}

/// The policy for one host, shared by all connections to it.
pub(crate) struct HostKeys {
    shown_host: String,
    name: Name,
    /// Who a certificate must name.
    principal: String,
    known: KnownHosts,
    /// Keys that must not be accepted from any host (RevokedHostKeys).
    revoked: Vec<Vec<u8>>,
    strict: StrictHostKeyChecking,
    file: Option<PathBuf>,
    form: NameForm,
    prompt: Option<Arc<dyn Prompt>>,
    settled: OnceLock<(Vec<u8>, Trust)>,
    /// Taken while a key is judged; true once one was refused, so that nobody is asked twice.
    judging: tokio::sync::Mutex<bool>,
}

impl HostKeys {
    pub(crate) fn new(settings: &Settings, prompt: &Arc<dyn Prompt>) -> Result<Self, ConnectError> {
        let files: Vec<PathBuf> = settings
            .user_known_hosts
            .iter()
            .chain(&settings.global_known_hosts)
            .cloned()
            .collect();
        Ok(Self {
            shown_host: settings.shown(),
            name: match &settings.host_key_alias {
                Some(alias) => Name::alias(alias),
                None => Name::new(&settings.hostname, settings.port),
            },
            principal: settings
                .host_key_alias
                .as_ref()
                .unwrap_or(&settings.hostname)
                .to_lowercase(),
            known: KnownHosts::read(&files),
            revoked: revoked(settings)?,
            strict: settings.strict,
            file: settings.user_known_hosts.first().cloned(),
            form: if settings.hash_known_hosts {
                NameForm::Hashed
            } else {
                NameForm::Plain
            },
            prompt: (!settings.batch).then(|| Arc::clone(prompt)),
            settled: OnceLock::new(),
            judging: tokio::sync::Mutex::new(false),
        })
    }

    /// Host-key algorithms to offer, plain and with certificates: first those of keys that the host is known by, since
    /// a server shows the key of the first algorithm that it has, and any other would look changed.
    pub(crate) fn offer(&self, algorithms: &Algorithms) -> (Vec<Algorithm>, Vec<Algorithm>) {
        let known = match self.settled.get() {
            Some((key, _)) => key_type(key).into_iter().collect(),
            None => self.known.key_types(&self.name),
        };
        let rank = |algorithm: &Algorithm| {
            // RSA keys go by one name in known_hosts and by three as signatures.
            let name = if algorithm.clone().is_rsa() {
                "ssh-rsa".to_owned()
            } else {
                algorithm.to_string()
            };
            known.iter().position(|known| *known == name).unwrap_or(known.len())
        };
        let mut keys = algorithms.preferred.key.to_vec();
        keys.sort_by_key(rank);
        let certificates = if self.known.has_authority(&self.name) {
            algorithms.host_certificates.clone()
        } else {
            Vec::new()
        };
        (keys, certificates)
    }

    /// How the key was taken that the first connection settled on.
    pub(crate) fn trust(&self) -> Trust {
        self.settled.get().map_or(Trust::Unproven, |(_, trust)| *trust)
    }

    /// Accepts or refuses what the host showed.
    pub(crate) async fn check(&self, shown: &PublicKeyOrCertificate) -> Result<(), ConnectError> {
        let key = shown.public_key();
        let bytes = key.public_key_bytes();
        if let Some((settled, _)) = self.settled.get() {
            return if *settled == bytes { Ok(()) } else { Err(self.another()) };
        }
        // One at a time: a person is asked once, and the others are compared with the answer.
        let mut refused = self.judging.lock().await;
        if *refused {
            return Err(self.refuse("the host key was refused before"));
        }
        match self.settled.get() {
            Some((settled, _)) if *settled == bytes => return Ok(()),
            Some(_) => return Err(self.another()),
            None => {}
        }
        let trust = self.judge(shown, &key).await.inspect_err(|_| *refused = true)?;
        let _ = self.settled.set((bytes, trust));
        Ok(())
    }

    fn another(&self) -> ConnectError {
        self.refuse("this connection was shown another host key than the first one")
            .advise("if several machines answer to this name, name one of them")
    }

    async fn judge(&self, shown: &PublicKeyOrCertificate, key: &PublicKey) -> Result<Trust, ConnectError> {
        let fingerprint = key.fingerprint(HashAlg::Sha256);
        let verdict = self.verdict(shown, key);
        let no = self.strict == StrictHostKeyChecking::No;
        match verdict {
            Verdict::Known => Ok(Trust::Proven),
            Verdict::Revoked(place) => Err(self
                .refuse(format!("the host key is marked as revoked at {place}"))
                .advise("do not log in; ask who runs the host")),
            Verdict::Certificate(error) => Err(self
                .refuse("the host certificate does not count")
                .because(error)
                .advise("ask who runs the host for a valid certificate, or for its key")),
            Verdict::Changed(_) | Verdict::OtherTypes(_) if no => {
                self.note(format!(
                    "{}: the host key differs from known_hosts; no password will be sent",
                    self.shown_host
                ));
                Ok(Trust::Unproven)
            }
            Verdict::Changed(place) => Err(self.changed(key, &place)),
            Verdict::OtherTypes(place) if self.strict != StrictHostKeyChecking::Ask => Err(self.changed(key, &place)),
            Verdict::OtherTypes(_) | Verdict::Unknown => self.unknown(key, &fingerprint.to_string(), &verdict).await,
        }
    }

    fn verdict(&self, shown: &PublicKeyOrCertificate, key: &PublicKey) -> Verdict {
        if self.revoked.contains(&key.public_key_bytes()) {
            return Verdict::Revoked(Place {
                file: "RevokedHostKeys".into(),
                line: 0,
            });
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        self.known.verdict(
            &self.name,
            match shown {
                PublicKeyOrCertificate::PublicKey { .. } => HostKey::Plain(key),
                PublicKeyOrCertificate::Certificate(certificate) => HostKey::Certified {
                    certificate,
                    host: &self.principal,
                    now,
                },
            },
        )
    }

    async fn unknown(&self, key: &PublicKey, fingerprint: &str, verdict: &Verdict) -> Result<Trust, ConnectError> {
        let sort = key.algorithm();
        let refused = || {
            self.refuse(format!(
                "the host is not in known_hosts; its {sort} key is {fingerprint}"
            ))
            .advise(format!(
                "if that is the right key, connect once with `ssh {}` and answer yes",
                self.shown_host
            ))
        };
        match (self.strict, &self.prompt) {
            (StrictHostKeyChecking::Yes, _) => return Err(refused()),
            (StrictHostKeyChecking::Ask, None) => return Err(refused()),
            (StrictHostKeyChecking::Ask, Some(prompt)) => {
                let also = match verdict {
                    Verdict::OtherTypes(place) => format!("A key of another type is known for it at {place}.\n"),
                    _ => String::new(),
                };
                let question = format!(
                    "The host {} is not known by this key.\n{also}Its {sort} key is {fingerprint}.\nGo on connecting (yes/no)? ",
                    self.shown_host
                );
                let agreed = prompt::put(prompt, move |prompt| prompt.confirm(&question)).await;
                match agreed {
                    Ok(true) => {}
                    Ok(false) => return Err(self.refuse("the host key was declined")),
                    Err(error) => return Err(refused().because(error)),
                }
            }
            (StrictHostKeyChecking::AcceptNew | StrictHostKeyChecking::No, _) => {}
        }
        if let Some(file) = &self.file
            && let Err(error) = known_hosts::remember(file, &self.name, self.form, key)
        {
            self.note(format!("cannot add the host key to {}: {error}", file.display()));
        }
        Ok(Trust::Proven)
    }

    fn changed(&self, key: &PublicKey, place: &Place) -> ConnectError {
        self.refuse(format!(
            "the host key is not the one known at {place}; the host now shows {} {}",
            key.algorithm(),
            key.fingerprint(HashAlg::Sha256)
        ))
        .advise(format!(
            "someone may be listening in; if the host was set up anew, remove the old key with `ssh-keygen -R '{}'`",
            self.name.as_str()
        ))
    }

    fn refuse(&self, text: impl Into<String>) -> ConnectError {
        ConnectError::new(ConnectErrorKind::HostKey, &self.shown_host, text)
    }

    fn note(&self, text: String) {
        if let Some(prompt) = &self.prompt {
            prompt.note(&text);
        }
    }
}

fn key_type(key: &[u8]) -> Option<String> {
    russh::keys::key::parse_public_key(key).ok().map(|key| {
        if key.algorithm().is_rsa() {
            "ssh-rsa".to_owned()
        } else {
            key.algorithm().to_string()
        }
    })
}

/// RevokedHostKeys as a list of public keys; a KRL is more than is read here.
fn revoked(settings: &Settings) -> Result<Vec<Vec<u8>>, ConnectError> {
    let Some(file) = &settings.revoked_host_keys else {
        return Ok(Vec::new());
    };
    let error = |text: String| ConnectError::new(ConnectErrorKind::Config, settings.shown(), text);
    // ssh refuses every host when the file cannot be read; so is done here.
    let content = std::fs::read(file)
        .map_err(|source| error(format!("cannot read RevokedHostKeys {}", file.display())).because(source))?;
    if content.starts_with(b"SSHKRL") {
        let text = format!(
            "RevokedHostKeys {} is a key revocation list, which only ssh can read",
            file.display()
        );
        return Err(error(text).advise("use --ssh-command ssh"));
    }
    let text = String::from_utf8_lossy(&content);
    let keys = text
        .lines()
        .filter_map(|line| PublicKey::from_openssh(line.trim()).ok());
    Ok(keys.map(|key| key.public_key_bytes()).collect())
}
