//! `renkei join`: makes this computer a host of a site.

use renkei_site::identity::{DataFolder, FolderError};
use renkei_site::join::{JoinError, Joining};
use renkei_site::pick::{PickError, pick};

use crate::exit;
use crate::printer::Output;
use crate::settings::{JoinSettings, SiteConfig};

/// Why it did not join.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("cannot start the runtime")]
    Runtime(#[source] std::io::Error),
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Pick(#[from] PickError),
    #[error(transparent)]
    Join(#[from] JoinError),
}

/// Joins, and says what to do next.
pub fn run(settings: JoinSettings, output: Output) -> u8 {
    match join(settings) {
        Ok(told) => {
            // Whoever reads this may be gone; it has joined all the same.
            let _ = output.answer(told.as_bytes());
            exit::COMPLETE
        }
        Err(error) => output.failure(&error, exit::FAILED),
    }
}

fn join(settings: JoinSettings) -> Result<String, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Failed::Runtime)?;
    let folder = DataFolder::new(&settings.data)?;
    let driver = pick(&folder, &SiteConfig::in_folder(settings.data.clone()).wish())?;
    let joining = Joining {
        url: settings.url,
        token: settings.token,
        name: settings.name,
        address: settings.address,
    };
    let identity = runtime.block_on(renkei_site::join::join(&folder, joining, &*driver))?;
    Ok(format!(
        "joined as host {} ({}), driver {}\nstart the agent: `renkei serve --config FILE` with\n[site]\ndata = \"{}\"\n",
        identity.name,
        identity.host,
        driver.which().name,
        settings.data.display()
    ))
}
