//! Keys that may be tried: those of the agent, of key files, and the certificates that go with them.
//!
//! A key file is opened for its public half; the passphrase is asked for only when the server would take the key, and
//! the private key then stays in memory for the connections that follow.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::{Algorithm, Certificate, PrivateKey, PublicKey, PublicKeyBase64};
use tokio::sync::OnceCell;

use super::agent::Agent;
use super::{Login, LoginError, sec1};
use crate::config::Settings;
use crate::prompt::{self, Echo};

/// How often a passphrase is asked for, as in ssh.
const PASSPHRASE_TRIES: u32 = 3;

/// A key to offer.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// Unknown for an encrypted PEM file without a `.pub` beside it.
    pub public: Option<PublicKey>,
    pub certificate: Option<Certificate>,
    pub holder: Holder,
    /// The agent took so long to sign that a person must have been asked (`ssh-add -c`, a touch, a PIN).
    pub confirmed: bool,
}

/// Who has the private half.
#[derive(Clone, Debug)]
pub(crate) enum Holder {
    Agent,
    File(Arc<KeyFile>),
}

/// A private key file.
pub(crate) struct KeyFile {
    path: PathBuf,
    text: String,
    unlocked: OnceCell<Arc<PrivateKey>>,
}

impl std::fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyFile")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Candidate {
    /// What makes two candidates the same offer to a server.
    pub(super) fn blob(&self) -> Option<Vec<u8>> {
        match (&self.certificate, &self.public) {
            (Some(certificate), _) => certificate.to_bytes().ok(),
            (None, public) => public.as_ref().map(PublicKeyBase64::public_key_bytes),
        }
    }

    /// Whether each signature asks a person.
    pub(super) fn needs_person(&self) -> bool {
        self.confirmed || self.public.as_ref().is_some_and(is_hardware)
    }
}

/// Whether the private half is in a security key, which only the agent or the system's ssh can talk to.
fn is_hardware(key: &PublicKey) -> bool {
    matches!(key.algorithm(), Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256)
}

impl KeyFile {
    fn read(path: &Path) -> Option<(Self, Option<PublicKey>)> {
        let text = std::fs::read_to_string(path).ok()?;
        let beside = || {
            let mut name = path.as_os_str().to_owned();
            name.push(".pub");
            PublicKey::read_openssh_file(PathBuf::from(name)).ok()
        };
        let unlocked = OnceCell::new();
        let public = match PrivateKey::from_openssh(&text) {
            // The public half of this format is readable without the passphrase.
            Ok(key) if key.is_encrypted() => Some(key.public_key().clone()),
            Ok(key) => {
                let public = key.public_key().clone();
                let _ = unlocked.set(Arc::new(key));
                Some(public)
            }
            Err(_) => match sec1::decode(&text)
                .ok_or(())
                .or_else(|()| russh::keys::decode_secret_key(&text, None))
            {
                Ok(key) => {
                    let public = key.public_key().clone();
                    let _ = unlocked.set(Arc::new(key));
                    Some(public)
                }
                Err(_) if text.contains("PRIVATE KEY-----") => beside(),
                Err(_) => return None,
            },
        };
        let file = Self {
            path: path.to_owned(),
            text,
            unlocked,
        };
        Some((file, public))
    }

    /// The private key, asking for the passphrase if it has one; later calls give the same key.
    pub(super) async fn unlock(&self, login: &Login) -> Result<Arc<PrivateKey>, LoginError> {
        self.unlocked.get_or_try_init(|| self.decrypt(login)).await.cloned()
    }

    /// Of the PEM forms that are encrypted as a whole, russh reads RSA with AES-128.
    fn is_known_form(&self) -> bool {
        let known = self.text.contains("BEGIN RSA PRIVATE KEY") && self.text.contains("DEK-Info: AES-128-CBC,");
        known || !self.text.contains("DEK-Info:")
    }

    async fn decrypt(&self, login: &Login) -> Result<Arc<PrivateKey>, LoginError> {
        let wrong = |source| LoginError::Key {
            path: self.path.clone(),
            source,
        };
        if !self.is_known_form() {
            return Err(LoginError::OldForm {
                path: self.path.clone(),
            });
        }
        if let Some(passphrase) = &login.passphrase {
            let key = russh::keys::decode_secret_key(&self.text, Some(passphrase));
            return key.map(Arc::new).map_err(wrong);
        }
        let mut failure = LoginError::Prompt(prompt::PromptError::NoOne);
        for _ in 0..PASSPHRASE_TRIES {
            let question = format!("Passphrase for the key {}: ", self.path.display());
            let passphrase = login.ask(question, Echo::Off).await?;
            // The key derivation is made to be slow.
            let text = self.text.clone();
            let decode = move || russh::keys::decode_secret_key(&text, Some(&passphrase));
            match tokio::task::spawn_blocking(decode).await {
                Ok(Ok(key)) => return Ok(Arc::new(key)),
                Ok(Err(error)) => failure = wrong(error),
                Err(_) => break,
            }
        }
        Err(failure)
    }
}

/// All candidates in the order they are tried: keys of the agent that the configuration names, the agent's others
/// unless IdentitiesOnly, then key files; a certificate goes before its plain key.
pub(super) async fn candidates(settings: &Settings, agent: Option<&mut Agent>) -> Vec<Candidate> {
    let held = match agent {
        Some(agent) => agent.identities().await,
        None => Vec::new(),
    };
    let files = identity_files(settings);
    let certificates: Vec<Certificate> = settings
        .certificate_files
        .iter()
        .filter_map(|file| certificate(file))
        .collect();
    let named = |key: &PublicKey| {
        files.iter().any(|file| {
            file.public
                .as_ref()
                .is_some_and(|public| public.key_data() == key.key_data())
        })
    };
    let (mut ordered, others): (Vec<_>, Vec<_>) = held
        .into_iter()
        .partition(|held| held.public.as_ref().is_some_and(named));
    if !settings.identities_only {
        ordered.extend(others);
    }
    let mut all: Vec<Candidate> = Vec::new();
    let mut push = |candidate: Candidate| {
        let blob = candidate.blob();
        if blob.is_none() || all.iter().all(|known| known.blob() != blob) {
            all.push(candidate);
        }
    };
    for plain in ordered
        .into_iter()
        .chain(files.iter().filter_map(IdentityFile::candidate))
    {
        let own = files.iter().filter_map(|file| file.certificate.as_ref());
        let matching = certificates.iter().chain(own).filter(|certificate| {
            plain
                .public
                .as_ref()
                .is_some_and(|public| public.key_data() == certificate.public_key())
        });
        for certificate in matching {
            push(Candidate {
                certificate: Some(certificate.clone()),
                ..plain.clone()
            });
        }
        push(plain);
    }
    all.retain(|candidate| allowed(settings, candidate));
    all
}

/// Whether PubkeyAcceptedAlgorithms lets the key be used at all.
fn allowed(settings: &Settings, candidate: &Candidate) -> bool {
    let Some(public) = &candidate.public else { return true };
    let names = if public.algorithm().is_rsa() {
        vec![
            "rsa-sha2-512".to_owned(),
            "rsa-sha2-256".to_owned(),
            "ssh-rsa".to_owned(),
        ]
    } else {
        vec![public.algorithm().to_string()]
    };
    names.iter().any(|name| match &candidate.certificate {
        Some(_) => settings.algorithms.accepts_user_key(&format!(
            "{}-cert-v01@openssh.com",
            name.trim_end_matches("@openssh.com")
        )),
        None => settings.algorithms.accepts_user_key(name),
    })
}

/// What IdentityFile names: a private key, or a public key whose private half the agent has.
struct IdentityFile {
    private: Option<Arc<KeyFile>>,
    public: Option<PublicKey>,
    certificate: Option<Certificate>,
}

impl IdentityFile {
    fn candidate(&self) -> Option<Candidate> {
        self.private.as_ref().map(|file| Candidate {
            public: self.public.clone(),
            certificate: None,
            holder: Holder::File(Arc::clone(file)),
            confirmed: false,
        })
    }
}

fn identity_files(settings: &Settings) -> Vec<IdentityFile> {
    let with = |path: &Path, suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let read = |path: &PathBuf| {
        let certificate = certificate(&with(path, "-cert.pub"));
        if let Some((file, public)) = KeyFile::read(path)
            && !public.as_ref().is_some_and(is_hardware)
        {
            return Some(IdentityFile {
                private: Some(Arc::new(file)),
                public,
                certificate,
            });
        }
        let public = PublicKey::read_openssh_file(path).or_else(|_| PublicKey::read_openssh_file(with(path, ".pub")));
        public.ok().map(|public| IdentityFile {
            private: None,
            public: Some(public),
            certificate,
        })
    };
    settings.identity_files.iter().filter_map(read).collect()
}

fn certificate(file: &Path) -> Option<Certificate> {
    Certificate::from_openssh(std::fs::read_to_string(file).ok()?.trim()).ok()
}
