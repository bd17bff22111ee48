//! A noun as people see it, and the verbs that all nouns have.

use clap::Args;
use renkei_transfer::ssh::{Prompt, PromptError, Terminal};
use renkei_types::change::Plan;
use renkei_types::freeze::NewFreeze;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::client::{Answer, Change, Mode, Outcome};
use super::failure::Failure;
use super::names::{Mention, Names};
use super::resolve::{self, Collection};
use super::{Hub, operation, plan, table};
use crate::arguments::hub::{Delete, Destroys, Freeze, Planned, Thaw, Which};
use crate::exit;

/// See the module.
pub trait Noun: DeserializeOwned {
    /// In sentences.
    const NOUN: &'static str;
    /// The heading of a list.
    const HEADING: &'static [&'static str];

    /// What it is called in sentences.
    fn called(&self, names: &Names) -> String;

    /// The ids whose names are needed to call it so.
    fn called_by(&self) -> Vec<Mention> {
        Vec::new()
    }

    /// The ids in it whose names are shown.
    fn mentions(&self) -> Vec<Mention>;

    /// Its row in a list.
    fn row(&self, names: &Names) -> Vec<String>;

    /// All of it.
    fn fields(&self, names: &Names) -> Vec<(&'static str, String)>;
}

/// Which change is to be made, in words.
pub struct Deed {
    /// The change.
    pub change: Change,
    /// What will have been done to it: `created`, `changed`.
    pub done: &'static str,
}

/// A change that a person says yes to, and what it is about.
pub struct Object {
    /// The change.
    pub change: Change,
    /// What it is about is called.
    pub called: String,
    /// What will have been done to it: `deleted`.
    pub done: &'static str,
    /// As it is now: what is waited for has its id.
    pub body: Value,
}

impl From<Planned> for Mode {
    fn from(planned: Planned) -> Self {
        match (planned.plan, planned.wait) {
            (true, _) => Self::Plan,
            (false, true) => Self::Wait,
            (false, false) => Self::Apply,
        }
    }
}

impl Hub {
    /// The id of what `text` names.
    pub async fn id(&self, collection: Collection, text: &str) -> Result<Uuid, Failure> {
        resolve::id(&self.client, collection, text).await
    }

    /// The id of what a person has named, in the project that they have named with it.
    pub async fn one(&self, collection: Collection, one: &impl Which) -> Result<Uuid, Failure> {
        match one.project() {
            Some(project) => self.within(collection, (one.which(), project)).await,
            None => self.id(collection, one.which()).await,
        }
    }

    /// The id of what `text` names in a project, which has a name or an id as well.
    pub async fn within(&self, collection: Collection, (text, project): (&str, &str)) -> Result<Uuid, Failure> {
        resolve::within(&self.client, collection, (text, project)).await
    }

    /// The ids of what several texts name.
    pub async fn ids(&self, collection: Collection, texts: &[String]) -> Result<Vec<Uuid>, Failure> {
        let mut ids = Vec::with_capacity(texts.len());
        for text in texts {
            ids.push(self.id(collection, text).await?);
        }
        Ok(ids)
    }

    /// Prints a list, all of its pages.
    pub async fn list<N: Noun>(&self, path: &str, query: &[(&str, String)]) -> Result<u8, Failure> {
        let items = self.client.all(path, query).await?;
        self.print_list::<N>(items).await
    }

    /// Prints these.
    pub async fn print_list<N: Noun>(&self, items: Vec<Value>) -> Result<u8, Failure> {
        if self.is_json() {
            return self.print_json(&Value::Array(items));
        }
        let nouns: Vec<N> = items
            .into_iter()
            .map(|item| self.client.read(item))
            .collect::<Result<_, _>>()?;
        let names = Names::of(&self.client, nouns.iter().flat_map(N::mentions)).await;
        self.print_text(&table::list(N::HEADING, nouns.iter().map(|noun| noun.row(&names))))
    }

    /// Prints one.
    pub async fn show<N: Noun>(&self, path: &str) -> Result<u8, Failure> {
        let answer = self.client.get(path, &[]).await?;
        self.print_one::<N>(answer.body).await
    }

    /// Prints this one.
    pub async fn print_one<N: Noun>(&self, object: Value) -> Result<u8, Failure> {
        if self.is_json() {
            return self.print_json(&object);
        }
        let noun: N = self.client.read(object)?;
        let names = Names::of(&self.client, noun.mentions()).await;
        self.print_text(&table::fields(noun.fields(&names)))
    }

    /// Makes a change and says so, or shows what it would do.
    pub async fn carry_out<N: Noun>(&self, deed: &Deed) -> Result<u8, Failure> {
        match self.client.change(&deed.change).await? {
            Outcome::Planned(plan) => self.print_plan(plan).await,
            Outcome::Done(object) if self.is_json() => {
                self.print_json(&object)?;
                self.until_so(&deed.change, &object).await
            }
            Outcome::Done(object) => {
                let changed = object.clone();
                let id = object["id"].as_str().map(|id| format!(", id {id}")).unwrap_or_default();
                let noun: N = self.client.read(object)?;
                self.print_line(&format!("{} {}{id}", deed.done, self.called(&noun).await))?;
                self.until_so(&deed.change, &changed).await
            }
        }
    }

    /// Waits, if that was asked for, for every operation of `object` that has not ended; 1 if one of them comes to nothing.
    ///
    /// Every verb that changes something ends here.
    pub async fn until_so(&self, change: &Change, object: &Value) -> Result<u8, Failure> {
        match object["id"].as_str() {
            Some(id) if change.waits() => operation::until_so(self, id).await,
            _ => Ok(exit::COMPLETE),
        }
    }

    /// Deletes what `delete` names.
    pub async fn delete<N: Noun>(
        &self,
        collection: Collection,
        delete: &Delete<impl Args + Which>,
    ) -> Result<u8, Failure> {
        let id = self.one(collection, &delete.one).await?;
        self.destroy::<N>(&collection.one(id), delete.destroys, "deleted").await
    }

    /// Takes away what is at `path`: as it was when the person said yes, and not otherwise.
    pub async fn destroy<N: Noun>(&self, path: &str, destroys: Destroys, done: &'static str) -> Result<u8, Failure> {
        self.destroy_by::<N>((path, Change::delete(path)), destroys, done).await
    }

    /// The same for what is not shown where it is taken away.
    pub async fn destroy_by<N: Noun>(
        &self,
        (path, change): (&str, Change),
        destroys: Destroys,
        done: &'static str,
    ) -> Result<u8, Failure> {
        let Answer { version, body } = self.client.get(path, &[]).await?;
        let noun: N = self.client.read(body.clone())?;
        let object = Object {
            change: change.seen(version).mode(destroys.planned.into()),
            called: self.called(&noun).await,
            done,
            body,
        };
        self.confirmed(&object, destroys).await
    }

    /// Makes a change once the person has said yes to its plan.
    pub async fn confirmed(&self, object: &Object, destroys: Destroys) -> Result<u8, Failure> {
        let Object {
            change,
            called,
            done,
            body,
        } = object;
        if !destroys.planned.plan && !destroys.yes {
            let plan = self.client.plan(change).await?;
            if let Some(problem) = plan.refused.first() {
                return Err(problem.clone().into());
            }
            confirm(called, &self.told(&plan).await)?;
        }
        match self.client.change(change).await? {
            Outcome::Planned(plan) => self.print_plan(plan).await,
            Outcome::Done(answer) => {
                match self.is_json() {
                    true => self.print_json(&answer)?,
                    false => self.print_line(&format!("{done} {called}"))?,
                };
                self.until_so(change, body).await
            }
        }
    }

    async fn called<N: Noun>(&self, noun: &N) -> String {
        let names = Names::of(&self.client, noun.called_by()).await;
        format!("{} {}", N::NOUN, noun.called(&names))
    }

    /// Freezes.
    pub async fn freeze<N: Noun>(
        &self,
        collection: Collection,
        freeze: Freeze<impl Args + Which>,
    ) -> Result<u8, Failure> {
        let id = self.one(collection, &freeze.one).await?;
        let new = NewFreeze {
            reason: freeze.reason,
            until: freeze.until.map(|until| until.seen_from(self.now)),
        };
        let change = Change::put(format!("{}/freeze", collection.one(id)), &new).mode(freeze.planned.into());
        self.carry_out::<N>(&Deed { change, done: "froze" }).await
    }

    /// Lifts a freeze.
    pub async fn thaw<N: Noun>(&self, collection: Collection, thaw: &Thaw<impl Args + Which>) -> Result<u8, Failure> {
        let id = self.one(collection, &thaw.one).await?;
        let change = Change::delete(format!("{}/freeze", collection.one(id))).mode(thaw.planned.into());
        self.carry_out::<N>(&Deed {
            change,
            done: "lifted the freeze of",
        })
        .await
    }

    async fn told(&self, plan: &Plan) -> String {
        plan::told(plan, &Names::of(&self.client, plan::mentions(plan)).await)
    }

    /// A plan, and 1 if it would be refused.
    pub async fn print_plan(&self, value: Value) -> Result<u8, Failure> {
        let plan: Plan = self.client.read(value.clone())?;
        if self.is_json() {
            self.print_json(&value)?;
        } else {
            self.print_text(&self.told(&plan).await)?;
        }
        Ok(if plan.refused.is_empty() {
            exit::COMPLETE
        } else {
            exit::FAILED
        })
    }
}

/// Asks at the terminal, with what would happen before the eyes.
fn confirm(called: &str, plan: &str) -> Result<(), Failure> {
    let question = format!("{plan}go on? [yes/no] ");
    match Terminal.confirm(&question) {
        Ok(true) => Ok(()),
        Ok(false) | Err(PromptError::Declined) => Err(Failure::Declined),
        Err(_) => Err(Failure::Unconfirmed(format!("destroying {called}"))),
    }
}
