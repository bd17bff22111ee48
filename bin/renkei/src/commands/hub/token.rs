//! `renkei token`.

use renkei_types::id::ProjectId;
use renkei_types::token::{IssuedToken, NewToken, Token, TokenKind};

use super::client::{Change, Outcome};
use super::failure::Failure;
use super::names::{Mention, Names};
use super::noun::Noun;
use super::resolve::Collection::{self, Projects, Users};
use super::{Hub, table};
use crate::arguments::hub::token::{self, Verb};

const HERE: Collection = Collection::Tokens;

impl Noun for Token {
    const NOUN: &'static str = "token";
    const HEADING: &'static [&'static str] = &[
        "NAME",
        "USER",
        "KIND",
        "SCOPES",
        "PROJECT",
        "EXPIRES",
        "LAST USED",
        "FROZEN",
        "ID",
    ];

    fn called(&self, _: &Names) -> String {
        format!("`{}`", self.name)
    }

    fn mentions(&self) -> Vec<Mention> {
        let project = self.project.iter().map(|project| (Projects, project.0));
        let by = self.freeze.iter().map(|freeze| (Users, freeze.by.0));
        [(Users, self.user.0)].into_iter().chain(project).chain(by).collect()
    }

    fn row(&self, names: &Names) -> Vec<String> {
        vec![
            self.name.to_string(),
            names.get(self.user.0),
            kind(self.kind),
            scopes(self),
            project(self, names),
            table::time(self.expires),
            table::time_or(self.last_used, "never"),
            table::frozen(self.freeze.as_ref()),
            self.id.to_string(),
        ]
    }

    fn fields(&self, names: &Names) -> Vec<(&'static str, String)> {
        vec![
            ("name", self.name.to_string()),
            ("id", self.id.to_string()),
            ("user", names.get(self.user.0)),
            ("kind", kind(self.kind)),
            ("scopes", scopes(self)),
            ("project", project(self, names)),
            ("created", table::time(self.created)),
            ("expires", table::time(self.expires)),
            ("last used", table::time_or(self.last_used, "never")),
            ("frozen", table::freeze(self.freeze.as_ref(), names)),
        ]
    }
}

/// How it came to be, in a word.
pub fn kind(kind: TokenKind) -> String {
    let word = match kind {
        TokenKind::Session => "session",
        TokenKind::Api => "api",
    };
    word.to_owned()
}

/// What it may be used for.
pub fn scopes(token: &Token) -> String {
    table::joined(token.scopes.iter().map(ToString::to_string))
}

fn project(token: &Token, names: &Names) -> String {
    token
        .project
        .map_or_else(|| "all".to_owned(), |project| names.get(project.0))
}

/// Carries out a verb.
pub async fn run(hub: &Hub, verb: Verb) -> Result<u8, Failure> {
    match verb {
        Verb::List(list) => {
            let all = list.all.then(|| ("all", "true".to_owned()));
            hub.list::<Token>(HERE.path(), all.as_slice()).await
        }
        Verb::Show(one) => hub.show::<Token>(&HERE.one(hub.id(HERE, &one.which).await?)).await,
        Verb::Create(create) => self::create(hub, create).await,
        Verb::Delete(delete) => hub.delete::<Token>(HERE, &delete).await,
        Verb::Freeze(freeze) => hub.freeze::<Token>(HERE, freeze).await,
        Verb::Thaw(thaw) => hub.thaw::<Token>(HERE, &thaw).await,
    }
}

/// The secret is in this answer and nowhere else.
async fn create(hub: &Hub, create: token::Create) -> Result<u8, Failure> {
    let project = match &create.project {
        Some(project) => Some(ProjectId(hub.id(Projects, project).await?)),
        None => None,
    };
    let new = NewToken {
        name: create.name,
        scopes: create.scopes.into_iter().collect(),
        project,
        expires: create.expires.map(|expires| expires.seen_from(hub.now)),
    };
    let change = Change::create(HERE.path(), &new).mode(create.planned.into());
    match hub.client.change(&change).await? {
        Outcome::Planned(plan) => hub.print_plan(plan).await,
        Outcome::Done(issued) if hub.is_json() => hub.print_json(&issued),
        Outcome::Done(issued) => {
            let IssuedToken { token, secret } = hub.client.read(issued)?;
            hub.print_line(&format!(
                "created token `{}`, id {}, until {}\nsecret: {secret}\nit is shown this once: put it into RENKEI_TOKEN, or \
                 send it as `Authorization: Bearer SECRET`",
                token.name,
                token.id,
                table::time(token.expires),
            ))
        }
    }
}
