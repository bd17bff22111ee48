//! A table of nftables as one whole: what is in it, and the commands of the transaction that makes it so.
//!
//! Rules are replaced together; what a table has learned (sets that rules fill) and counted stays. Only the table itself is named,
//! so no other table can change.

use serde_json::{Value, json};

use super::error::NetworkError;
use super::program::{Job, Space};

/// A table that is meant.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Table {
    /// `bridge`, `inet`.
    pub family: &'static str,
    /// Its name.
    pub name: String,
    /// Sets that its rules fill.
    pub learned: Vec<Learned>,
    /// Counters that stay when rules change.
    pub counters: Vec<String>,
    /// In an order in which none jumps to a later one.
    pub chains: Vec<Chain>,
}

/// A set of addresses that rules fill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Learned {
    pub name: String,
    /// `ipv4_addr`, `ipv6_addr`.
    pub of: &'static str,
    /// The most that it holds.
    pub size: u32,
    /// After how many seconds what was not learned again is forgotten.
    pub seconds: u32,
}

/// A chain.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Chain {
    pub name: String,
    /// Where packets come into it by themselves.
    pub hook: Option<Hook>,
    /// Each the list of a rule's expressions.
    pub rules: Vec<Value>,
}

/// Where packets come into a chain by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hook {
    /// `filter`, `nat`.
    pub of: &'static str,
    /// `prerouting`, `forward`, ….
    pub at: &'static str,
    pub priority: i32,
    /// `accept`, `drop`.
    pub policy: &'static str,
}

/// A table as `nft -j list table` shows it: empty if there is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Listing(Vec<Value>);

impl Table {
    /// Reads what there is of it.
    pub(super) fn listing(&self, space: &Space) -> Result<Listing, NetworkError> {
        list(space, self.family, &self.name)
    }

    /// Makes it so, and says what there is then.
    pub(super) fn make(&self, space: &Space, before: &Listing) -> Result<Listing, NetworkError> {
        let doing = self.doing(space);
        let changes = submit(space, &doing, self.changes(before));
        match changes {
            Ok(()) => {}
            // Something in the way, such as a set of the same name that is made otherwise: all of it goes, in one transaction still.
            Err(NetworkError::Refused { .. }) if !before.0.is_empty() => {
                submit(space, &doing, self.anew(before))?;
            }
            Err(error) => return Err(error),
        }
        self.listing(space)
    }

    fn doing(&self, space: &Space) -> String {
        format!(
            "make table `{} {}` in namespace `{}`",
            self.family,
            self.name,
            space.name()
        )
    }

    fn named(&self, kind: &str, name: &str) -> Value {
        json!({ kind: { "family": self.family, "table": self.name, "name": name } })
    }

    fn itself(&self) -> Value {
        json!({ "table": { "family": self.family, "name": self.name } })
    }

    /// From what there is to what is meant.
    fn changes(&self, before: &Listing) -> Vec<Value> {
        // Without rules nothing refers to anything any more.
        let mut commands = vec![json!({ "add": self.itself() }), json!({ "flush": self.itself() })];
        let stale = |kind: &str, meant: &dyn Fn(&str) -> bool| -> Vec<Value> {
            let names = before.names(kind).into_iter().filter(|name| !meant(name));
            names.map(|name| json!({ "delete": self.named(kind, name) })).collect()
        };
        commands.extend(stale("chain", &|name| {
            self.chains.iter().any(|chain| chain.name == name)
        }));
        commands.extend(stale("set", &|name| self.learned.iter().any(|set| set.name == name)));
        commands.extend(stale("map", &|_| false));
        commands.extend(stale("counter", &|name| self.counters.iter().any(|one| one == name)));
        let there = before.names("set");
        let missing = self.learned.iter().filter(|set| !there.contains(&set.name.as_str()));
        commands.extend(missing.map(|set| self.add_set(set)));
        commands.extend(self.objects());
        commands
    }

    /// All of it, as if nothing had been there, but with what was learned.
    fn anew(&self, before: &Listing) -> Vec<Value> {
        let mut commands = vec![json!({ "add": self.itself() }), json!({ "delete": self.itself() })];
        commands.push(json!({ "add": self.itself() }));
        commands.extend(self.learned.iter().map(|set| self.add_set(set)));
        commands.extend(self.objects());
        for set in &self.learned {
            let elements = before.elements(&set.name);
            if !elements.is_empty() {
                commands.push(json!({ "add": { "element": {
                    "family": self.family, "table": self.name, "name": set.name, "elem": elements,
                } } }));
            }
        }
        commands
    }

    /// Without the flag `dynamic`, which nft 1.0.6 does not read in JSON: a set that a rule of the same transaction fills gets it.
    fn add_set(&self, set: &Learned) -> Value {
        json!({ "add": { "set": {
            "family": self.family, "table": self.name, "name": set.name, "type": set.of,
            "flags": ["timeout"], "timeout": set.seconds, "size": set.size,
        } } })
    }

    /// Counters, chains, rules.
    fn objects(&self) -> Vec<Value> {
        let mut commands = Vec::new();
        for counter in &self.counters {
            commands.push(json!({ "add": self.named("counter", counter) }));
        }
        for chain in &self.chains {
            let mut value = self.named("chain", &chain.name);
            if let (Some(hook), Some(object)) = (chain.hook, value.get_mut("chain").and_then(Value::as_object_mut)) {
                object.insert("type".to_owned(), json!(hook.of));
                object.insert("hook".to_owned(), json!(hook.at));
                object.insert("prio".to_owned(), json!(hook.priority));
                object.insert("policy".to_owned(), json!(hook.policy));
            }
            commands.push(json!({ "add": value }));
        }
        for chain in &self.chains {
            for rule in &chain.rules {
                commands.push(json!({ "add": { "rule": {
                    "family": self.family, "table": self.name, "chain": chain.name, "expr": rule,
                } } }));
            }
        }
        commands
    }
}

/// A table that is looked after: it is made anew only when something else is meant, or somebody has changed it.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept(Option<(Table, Listing)>);

impl Kept {
    /// Makes `table` so. The first time it is made anyhow: from a listing alone nobody can tell whether it is what was meant.
    pub(super) fn make(&mut self, space: &Space, table: Table) -> Result<(), NetworkError> {
        let listing = table.listing(space)?;
        if let Some((made, listed)) = &self.0
            && *made == table
            && listed.is_like(&listing)
        {
            return Ok(());
        }
        // Whatever fails halfway is not taken for made.
        self.0 = None;
        let listed = table.make(space, &listing)?;
        self.0 = Some((table, listed));
        Ok(())
    }
}

/// One transaction.
fn submit(space: &Space, doing: &str, commands: Vec<Value>) -> Result<(), NetworkError> {
    let input = json!({ "nftables": commands }).to_string();
    let job = Job {
        doing,
        words: &["nft", "-j", "-f", "-"],
        input: &input,
    };
    space.run(job).map(drop)
}

/// Reads a table; an empty listing if there is none.
pub(super) fn list(space: &Space, family: &str, name: &str) -> Result<Listing, NetworkError> {
    let doing = format!("look at table `{family} {name}` in namespace `{}`", space.name());
    let job = Job {
        doing: &doing,
        words: &["nft", "-j", "list", "table", family, name],
        input: "",
    };
    let mut answer: Value = match space.ask(job) {
        // ENOENT in the words of every version.
        Err(NetworkError::Refused { said, .. }) if said.contains("No such file or directory") => {
            return Ok(Listing::default());
        }
        answer => answer?,
    };
    match answer.get_mut("nftables").map(Value::take) {
        Some(Value::Array(items)) => Ok(Listing(items)),
        _ => Ok(Listing::default()),
    }
}

impl Listing {
    /// Whether both have the same rules: without what is learned and counted.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.lasting() == other.lasting()
    }

    fn lasting(&self) -> Vec<Value> {
        let mut items = self.0.clone();
        for item in &mut items {
            let kinds = item.as_object_mut().into_iter().flat_map(|item| item.values_mut());
            for object in kinds.filter_map(Value::as_object_mut) {
                for word in ["elem", "packets", "bytes"] {
                    object.remove(word);
                }
            }
        }
        items
    }

    fn objects<'a>(&'a self, kind: &str) -> impl Iterator<Item = &'a Value> {
        self.0.iter().filter_map(move |item| item.get(kind))
    }

    fn names<'a>(&'a self, kind: &str) -> Vec<&'a str> {
        let names = self.objects(kind).filter_map(|object| object.get("name"));
        names.filter_map(Value::as_str).collect()
    }

    fn elements(&self, set: &str) -> Vec<Value> {
        let mut sets = self.objects("set");
        let found = sets.find(|object| object.get("name").and_then(Value::as_str) == Some(set));
        let elements = found.and_then(|set| set.get("elem")).and_then(Value::as_array);
        elements.cloned().unwrap_or_default()
    }

    /// What a set has learned: each element, and in how many seconds it is forgotten.
    pub(super) fn learned(&self, set: &str) -> Vec<(String, u64)> {
        let read = |element: &Value| {
            let element = element.get("elem")?;
            let value = element.get("val")?.as_str()?.to_owned();
            Some((value, element.get("expires")?.as_u64()?))
        };
        self.elements(set).iter().filter_map(read).collect()
    }

    /// How many packets a counter has seen.
    pub(super) fn counted(&self, counter: &str) -> u64 {
        let mut counters = self.objects("counter");
        let found = counters.find(|object| object.get("name").and_then(Value::as_str) == Some(counter));
        found
            .and_then(|counter| counter.get("packets"))
            .and_then(Value::as_u64)
            .unwrap_or_default()
    }
}
