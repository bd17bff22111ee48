//! `--include` and `--exclude` in the order in which they were typed.
//!
//! clap collects each option for itself; only its indices tell how the two lists were mixed, so this group of arguments
//! is put together by hand.

use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches};
use renkei_transfer::Filter;

const HEADING: &str = "What is copied";

/// The filters; the first that matches a name wins.
#[derive(Clone, Debug, Default)]
pub struct Filters(pub Vec<Filter>);

impl clap::Args for Filters {
    fn augment_args(command: Command) -> Command {
        command
            .arg(
                Arg::new("include")
                    .long("include")
                    .value_name("GLOB")
                    .action(ArgAction::Append)
                    .help_heading(HEADING)
                    .help("Take what matches; of --include and --exclude the first that matches decides"),
            )
            .arg(
                Arg::new("exclude")
                    .long("exclude")
                    .value_name("GLOB")
                    .action(ArgAction::Append)
                    .help_heading(HEADING)
                    .help("Leave out what matches: a name, with `/` the whole path below the source, `dir/` directories only"),
            )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Filters {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut filters = Self::default();
        filters.update_from_arg_matches(matches)?;
        Ok(filters)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let mut found = Vec::new();
        for (name, include) in [("include", true), ("exclude", false)] {
            let indices = matches.indices_of(name).into_iter().flatten();
            let globs = matches.get_many::<String>(name).into_iter().flatten().cloned();
            found.extend(indices.zip(globs.map(|glob| Filter { include, glob })));
        }
        found.sort_by_key(|(index, _)| *index);
        self.0 = found.into_iter().map(|(_, filter)| filter).collect();
        Ok(())
    }
}
