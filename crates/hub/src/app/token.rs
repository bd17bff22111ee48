//! Tokens for programs.

use jiff::{SignedDuration, Timestamp};
use renkei_policy::issue::{self, Wanted};
use renkei_policy::{Resource, actor};
use renkei_store::noun::token::Credential;
use renkei_types::action::Action;
use renkei_types::freeze::NewFreeze;
use renkei_types::id::TokenId;
use renkei_types::page::Page;
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::token::{IssuedToken, NewToken, Token, TokenKind};
use uuid::Uuid;

use super::decision::Draft;
use super::list::Paging;
use super::{Answer, App, Asked, Versioned, session};

const NOUN: &str = TokenId::NOUN;
/// How long a token lasts if nothing is said, and at most.
const LASTS: SignedDuration = SignedDuration::from_hours(30 * 24);
const LONGEST: SignedDuration = SignedDuration::from_hours(366 * 24);

/// How long a token lasts if nothing is said: not longer than the one with which it is made, unless that is a session.
fn unsaid(credential: &actor::Credential, now: Timestamp) -> Timestamp {
    match credential.kind {
        TokenKind::Session => now + LASTS,
        TokenKind::Api => credential.expires.min(now + LASTS),
    }
}

fn resource(token: &Token) -> Resource<'static> {
    Resource::Token {
        owner: token.user,
        project: token.project,
    }
}

impl App {
    /// The caller's own, or with `all` those of everybody, oldest first.
    pub async fn tokens(&self, asked: &Asked, whose: Whose, paging: &Paging) -> Result<Page<Token>, Problem> {
        asked.may(Action::TokenRead, &Resource::List)?;
        let reach = asked.actor()?.tokens();
        let equals = match whose {
            Whose::Own => vec![("user", asked.actor()?.user.to_string())],
            Whose::All if reach.owners == renkei_policy::reach::Reach::All => Vec::new(),
            Whose::All => {
                let problem = Problem::new(ProblemKind::Forbidden, "only administrators see everybody's tokens");
                return Err(problem.field("all").hint("leave `all` away to see your own"));
            }
        };
        let page = self.page::<Credential>(paging, None, equals, None).await?;
        let tokens = page.items.into_iter().map(|credential| credential.token);
        let items = tokens
            .filter(|token| reach.project.is_none() || token.project == reach.project)
            .collect();
        Ok(Page { items, next: page.next })
    }

    /// One.
    pub async fn token(&self, asked: &Asked, id: TokenId) -> Result<Versioned<Token>, Problem> {
        let found = self.get::<Credential>(NOUN, id.0).await?;
        asked.may(Action::TokenRead, &resource(&found.value.token))?;
        Ok(Versioned {
            version: found.version,
            value: found.value.token,
        })
    }

    /// Makes one for the caller. Its secret is in this answer and nowhere else.
    pub async fn create_token(&self, asked: &Asked, new: NewToken) -> Result<Answer<Versioned<IssuedToken>>, Problem> {
        let answer = async {
            let actor = asked.actor()?;
            asked.may(
                Action::TokenWrite,
                &Resource::Token {
                    owner: actor.user,
                    project: new.project,
                },
            )?;
            let expires = new.expires.unwrap_or_else(|| unsaid(&actor.credential, asked.now));
            if expires <= asked.now || expires > asked.now + LONGEST {
                let problem = Problem::new(ProblemKind::Invalid, "`expires` must be within the next 366 days");
                return Err(problem.field("expires"));
            }
            if new.scopes.is_empty() {
                let problem = Problem::new(ProblemKind::Invalid, "a token without scopes is good for nothing");
                return Err(problem
                    .field("scopes")
                    .hint("`*:read` for reading, `project:*` for one noun, `*` for all"));
            }
            if let Some(project) = new.project {
                self.project(asked, project).await?;
            }
            let wanted = Wanted {
                scopes: &new.scopes,
                project: new.project,
                expires,
            };
            if let Err(too_much) = issue::may_issue(&actor.credential, &wanted) {
                return Err(
                    Problem::new(ProblemKind::Forbidden, too_much.to_string()).hint("sign in to make this token")
                );
            }
            self.decide(asked, || async {
                let secret = session::new_secret()?;
                let token = Token {
                    id: TokenId(Uuid::now_v7()),
                    user: actor.user,
                    name: new.name.clone(),
                    kind: TokenKind::Api,
                    scopes: new.scopes.clone(),
                    project: new.project,
                    created: asked.now,
                    expires,
                    last_used: None,
                    freeze: None,
                };
                let mut draft = Draft::new();
                draft.create(&Credential {
                    token: token.clone(),
                    secret_hash: session::hash(&secret),
                });
                Ok(draft.secret(Versioned::first(IssuedToken {
                    token,
                    secret: secret.reveal(),
                })))
            })
            .await
        };
        asked.told(answer.await)
    }

    /// Revokes one: from now on it is not known.
    pub async fn delete_token(&self, asked: &Asked, id: TokenId) -> Result<Answer<()>, Problem> {
        self.decide(asked, || async {
            let old = self.get::<Credential>(NOUN, id.0).await?;
            asked.may(Action::TokenWrite, &resource(&old.value.token))?;
            asked.unchanged(old.version)?;
            let mut draft = Draft::new();
            draft.delete(&old);
            Ok(draft.answer(()))
        })
        .await
    }

    /// Freezes one, or lifts the freeze.
    pub async fn freeze_token(
        &self,
        asked: &Asked,
        id: TokenId,
        freeze: Option<NewFreeze>,
    ) -> Result<Answer<Versioned<Token>>, Problem> {
        let answer = async {
            let freeze = freeze.map(|freeze| super::freeze(asked, freeze)).transpose()?;
            self.decide(asked, || async {
                let old = self.get::<Credential>(NOUN, id.0).await?;
                asked.may(Action::Freeze, &resource(&old.value.token))?;
                asked.unchanged(old.version)?;
                let token = Token {
                    freeze: freeze.clone(),
                    ..old.value.token.clone()
                };
                let new = Credential {
                    token: token.clone(),
                    ..old.value.clone()
                };
                let mut draft = Draft::new();
                draft.change(&old, &new);
                Ok(draft.answer(Versioned {
                    version: old.version + u64::from(old.value != new),
                    value: token,
                }))
            })
            .await
        };
        asked.told(answer.await)
    }
}

/// Whose tokens are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The caller's.
    Own,
    /// Everybody's.
    All,
}
