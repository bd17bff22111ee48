//! What must be there before anybody can ask for anything: the first administrator, and a catalog.

use jiff::Timestamp;
use renkei_policy::password::PasswordHash;
use renkei_policy::secret;
use renkei_store::noun::user::Account;
use renkei_store::{Batch, CommitError};
use renkei_types::event::{Doer, Event};
use renkei_types::id::UserId;
use renkei_types::name::{NotAName, UserName};
use renkei_types::user::User;
use uuid::Uuid;

use super::App;

/// The first administrator could not be made.
#[derive(Debug, thiserror::Error)]
pub enum NoFirst {
    /// The store cannot be read.
    #[error("cannot look for users")]
    Read(#[from] renkei_store::StateError),
    /// The store cannot be written.
    #[error("cannot make the first administrator")]
    Write(#[from] CommitError),
    /// The system has no random bytes, or no memory.
    #[error("cannot make a password")]
    Password(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A name in it is none.
    #[error("cannot make the first catalog")]
    Catalog(#[from] NotAName),
}

impl App {
    /// In a hub without users: makes the administrator `admin`, whose password, which is given here and nowhere else, must be
    /// changed at the first sign-in, and the first catalog. In any other nothing.
    pub async fn first_administrator(&self, now: Timestamp) -> Result<Option<String>, NoFirst> {
        if !self.store.state.all::<Account>(None, 1).await?.is_empty() {
            return Ok(None);
        }
        let password = secret::one_time_password().map_err(|error| NoFirst::Password(error.into()))?;
        let hash = PasswordHash::new(&password).map_err(|error| NoFirst::Password(error.into()))?;
        let name = UserName::try_from("admin".to_owned()).map_err(|error| NoFirst::Password(error.into()))?;
        let user = User {
            id: UserId(Uuid::now_v7()),
            name: name.clone(),
            full_name: "first administrator".to_owned(),
            email: String::new(),
            administrator: true,
            enabled: true,
            created: now,
            freeze: None,
        };
        let mut batch = Batch::new();
        batch.append(Event {
            id: 0,
            at: now,
            by: Doer::default(),
            action: "user:create".to_owned(),
            noun: UserId::NOUN.to_owned(),
            object: user.id.0,
            object_name: name.to_string(),
            project: None,
            organization: None,
            before: None,
            after: serde_json::to_value(&user).ok(),
        });
        batch.insert(&Account {
            user,
            password: Some(hash.to_phc()),
            must_change: true,
            token_epoch: 0,
        });
        super::catalog::seed(&mut batch, now, Uuid::now_v7)?;
        match self.store.state.commit(batch).await {
            Ok(()) => Ok(Some(password)),
            // Another hub over the same database was first, and has told the password.
            Err(CommitError::Taken { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
