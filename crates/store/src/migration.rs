//! From one schema to the next and back: which steps, as a function of a list.
//!
//! A schema is a number. A step that has been in a release is never changed; the next one mends it. Going forward happens by itself
//! when a hub opens its database; going back is possible until the new schema is *finalised*.

/// The way to one schema from the one before.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// The schema that it leads to; the first is 1, and none is left out.
    pub schema: u32,
    /// Statements that lead there.
    pub up: &'static str,
    /// Statements that lead back; what the schema alone can hold is lost.
    pub down: &'static str,
}

/// All, first to last.
pub const ALL: &[Migration] = &[
    Migration {
        schema: 1,
        up: include_str!("schema/0001.up.sql"),
        down: include_str!("schema/0001.down.sql"),
    },
    Migration {
        schema: 2,
        up: include_str!("schema/0002.up.sql"),
        down: include_str!("schema/0002.down.sql"),
    },
    Migration {
        schema: 3,
        up: include_str!("schema/0003.up.sql"),
        down: include_str!("schema/0003.down.sql"),
    },
];

/// Where a database stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Its schema; 0 if it is empty.
    pub schema: u32,
    /// The schema to which it can go back.
    pub finalised: u32,
}

/// Why there is no way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoWay {
    /// The database was written by a later version.
    #[error(
        "the database has schema {found}, this version of renkei knows schemas up to {known}\n\
         hint: run the newer version, or let it go back with `roll_back` before"
    )]
    Newer {
        /// The database's.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// There is nothing to go back to.
    #[error("schema {schema} is final: there is no way back from it")]
    Final {
        /// The database's.
        schema: u32,
    },
    /// It is not ours.
    #[error("the database holds nothing of renkei")]
    Empty,
}

/// The steps forward to the last schema of `list`.
pub fn forward(list: &[Migration], standing: Standing) -> Result<Vec<Migration>, NoWay> {
    known(list, standing)?;
    Ok(list
        .iter()
        .filter(|step| step.schema > standing.schema)
        .copied()
        .collect())
}

/// The steps back to the schema that was finalised, last one first.
pub fn back(list: &[Migration], standing: Standing) -> Result<Vec<Migration>, NoWay> {
    known(list, standing)?;
    if standing.schema <= standing.finalised {
        return Err(NoWay::Final {
            schema: standing.schema,
        });
    }
    let taken = |step: &&Migration| step.schema > standing.finalised && step.schema <= standing.schema;
    Ok(list.iter().filter(taken).rev().copied().collect())
}

/// The last schema of `list`.
pub fn last(list: &[Migration]) -> u32 {
    list.last().map_or(0, |step| step.schema)
}

fn known(list: &[Migration], standing: Standing) -> Result<(), NoWay> {
    let (found, known) = (standing.schema, last(list));
    if found > known {
        Err(NoWay::Newer { found, known })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn step(schema: u32) -> Migration {
        let (up, down) = ("", "");
        Migration { schema, up, down }
    }

    const THREE: &[Migration] = &[step(1), step(2), step(3)];

    fn standing(schema: u32, finalised: u32) -> Standing {
        Standing { schema, finalised }
    }

    fn schemas(steps: Result<Vec<Migration>, NoWay>) -> Vec<u32> {
        steps.unwrap().iter().map(|step| step.schema).collect()
    }

    #[test]
    fn forward_from_each_schema_to_the_last() {
        assert_eq!(schemas(forward(THREE, standing(0, 0))), [1, 2, 3]);
        assert_eq!(schemas(forward(THREE, standing(2, 1))), [3]);
        assert!(schemas(forward(THREE, standing(3, 1))).is_empty());
    }

    #[test]
    fn back_to_what_was_finalised_and_no_further() {
        assert_eq!(schemas(back(THREE, standing(3, 1))), [3, 2]);
        assert_eq!(back(THREE, standing(3, 3)).unwrap_err(), NoWay::Final { schema: 3 });
    }

    #[test]
    fn a_newer_schema_is_refused_with_both_numbers() {
        let refused = forward(&THREE[..2], standing(3, 1)).unwrap_err();
        assert_eq!(refused, NoWay::Newer { found: 3, known: 2 });
        assert!(refused.to_string().contains("schema 3") && refused.to_string().contains("up to 2"));
    }

    #[test]
    fn the_real_list_has_no_gaps() {
        assert!((1..).zip(ALL).all(|(schema, step)| step.schema == schema));
    }
}
