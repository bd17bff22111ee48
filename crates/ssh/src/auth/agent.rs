//! The SSH agent, and signing with it or with a key in memory.

use std::path::Path;
use std::time::{Duration, Instant};

use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::ssh_encoding::Encode;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{Certificate, HashAlg, PrivateKey, PublicKey, signature};
use tokio::net::UnixStream;

use super::keys::{Candidate, Holder};
use super::{CONFIRMATION, Login, LoginError};
use crate::prompt::Waiting;

/// A conversation with an agent, one for each login.
pub(crate) struct Agent(AgentClient<UnixStream>);

impl Agent {
    /// Connects; none if nothing listens, which is as good as no agent.
    pub(super) async fn connect(socket: Option<&Path>) -> Option<Self> {
        AgentClient::connect_uds(socket?).await.ok().map(Self)
    }

    /// Tells the agent which host it will sign for, so that it uses keys that are limited to some hosts. Agents that do
    /// not know the request refuse it, without harm.
    pub(super) async fn bind(&mut self, binding: &russh::keys::agent::AgentSessionBinding) {
        let _ = self.0.bind_session(binding, false).await;
    }

    pub(super) async fn identities(&mut self) -> Vec<Candidate> {
        let identities = self.0.request_identities().await.unwrap_or_default();
        let candidate = |identity: AgentIdentity| match identity {
            AgentIdentity::PublicKey { key, .. } => Candidate {
                public: Some(key),
                certificate: None,
                holder: Holder::Agent,
                confirmed: false,
            },
            AgentIdentity::Certificate { certificate, .. } => Candidate {
                public: Some(PublicKey::new(certificate.public_key().clone(), "")),
                certificate: Some(certificate),
                holder: Holder::Agent,
                confirmed: false,
            },
        };
        identities.into_iter().map(candidate).collect()
    }
}

/// Signs for one candidate when the server has said that it would take it.
pub(super) struct Signer<'a> {
    pub login: &'a Login,
    pub candidate: &'a Candidate,
    pub agent: Option<&'a mut Agent>,
    /// Who is told once it has signed.
    pub audience: Audience,
    /// How long the agent took.
    pub waited: Duration,
}

/// Who learns that the server would take a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    Nobody,
    /// The connections that wait beside the first.
    Others,
}

impl russh::Signer for Signer<'_> {
    type Error = LoginError;

    async fn auth_sign(
        &mut self,
        identity: &AgentIdentity,
        hash: Option<HashAlg>,
        data: Vec<u8>,
    ) -> Result<Vec<u8>, LoginError> {
        let signed = match (&self.candidate.holder, &mut self.agent) {
            (Holder::File(file), _) => {
                let key = file.unlock(self.login).await?;
                sign(&key, hash, data)
            }
            (Holder::Agent, Some(Agent(agent))) => {
                let _waiting = Waiting::begin();
                let begun = Instant::now();
                let signed = sign_by(agent, identity, hash, data).await;
                self.waited = begun.elapsed();
                signed.map_err(LoginError::Agent)
            }
            (Holder::Agent, None) => Err(LoginError::Agent(russh::keys::Error::AgentFailure)),
        };
        if signed.is_ok() && self.audience == Audience::Others && self.waited <= CONFIRMATION {
            self.login.promise(self.candidate);
        }
        signed
    }
}

/// An agent may know a certificate by itself, or only the key that a certificate file is for.
async fn sign_by(
    agent: &mut AgentClient<UnixStream>,
    identity: &AgentIdentity,
    hash: Option<HashAlg>,
    data: Vec<u8>,
) -> Result<Vec<u8>, russh::keys::Error> {
    match agent.sign_request(identity, hash, data.clone()).await {
        Err(_) if matches!(identity, AgentIdentity::Certificate { .. }) => {
            let key = AgentIdentity::from(identity.public_key().into_owned());
            agent.sign_request(&key, hash, data).await
        }
        answer => answer,
    }
}

/// `data` with the signature over it appended, as russh wants it.
fn sign(key: &PrivateKey, hash: Option<HashAlg>, mut data: Vec<u8>) -> Result<Vec<u8>, LoginError> {
    use signature::Signer as _;
    let signed = match key.key_data() {
        KeypairData::Rsa(pair) => (pair, hash).try_sign(&data),
        pair => pair.try_sign(&data),
    };
    let mut blob = Vec::new();
    signed
        .map_err(|error| error.to_string())
        .and_then(|signature| signature.encode(&mut blob).map_err(|error| error.to_string()))
        .and_then(|()| blob.encode(&mut data).map_err(|error| error.to_string()))
        .map_err(LoginError::Sign)?;
    Ok(data)
}

/// Whether a certificate is within its time; an expired one only costs an attempt at the server.
pub(super) fn is_current(certificate: &Certificate) -> bool {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.is_ok_and(|now| (certificate.valid_after()..certificate.valid_before()).contains(&now.as_secs()))
}
