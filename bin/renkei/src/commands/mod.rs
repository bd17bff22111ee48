//! One file a command: settings in, exit code out.

#[cfg(feature = "hub")]
mod admin;
mod copy;
mod documents;
#[cfg(feature = "hub")]
mod hub;
#[cfg(feature = "hub")]
mod join;
mod resume;
#[cfg(feature = "hub")]
mod serve;
#[cfg(feature = "hub")]
mod up;
mod verify;

pub use documents::complete;

#[cfg(feature = "hub")]
use crate::printer::Output;
use crate::settings::Settings;

/// Carries out a command and gives its exit code.
pub fn run(settings: Settings) -> u8 {
    match settings {
        Settings::Copy { request, output } => copy::run(*request, output),
        Settings::Resume { stored, output } => resume::resume(&stored, output),
        Settings::List { journals, output } => resume::list(&journals, output),
        Settings::Drop { stored, output } => resume::drop(&stored, output),
        Settings::Verify { request, output } => verify::run(*request, output),
        #[cfg(feature = "hub")]
        Settings::Serve(settings) => serve::run(settings, Output::PLAIN),
        #[cfg(feature = "hub")]
        Settings::Up(settings) => up::run(&settings, Output::PLAIN),
        #[cfg(feature = "hub")]
        Settings::Join(settings) => join::run(settings, Output::PLAIN),
        #[cfg(feature = "hub")]
        Settings::Admin(settings) => admin::run(*settings),
        Settings::Completions(shell) => documents::completions(shell),
        #[cfg(feature = "hub")]
        Settings::Hub(settings) => hub::run(*settings),
        Settings::Man(directory) => documents::man(directory.as_deref()),
    }
}
