//! Debian's packages for the small guest, by apt: found, fetched and unpacked into a folder. Nothing is installed.
//!
//! First with the lists that this computer has. Where they do not know the packages (a fresh container has none) or are so old that
//! the packages are gone from the server, with lists of our own in the work folder, from the same sources.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::SmallError;
use super::tool::{APT_CACHE, APT_GET, DPKG_DEB, last_words};

/// Those whose libraries are needed too.
const PROGRAMS: [&str; 2] = ["dropbear-bin", "e2fsprogs"];
/// Those of which only what lies in them is taken: they stand alone, or need what the guest has anyway.
const ALONE: [&str; 2] = ["busybox-static", "openssh-sftp-server"];
/// Depends on the newest kernel, whose name changes with its version.
const KERNEL: &str = "linux-image-cloud-amd64";
const KERNELS: &str = "linux-image-";

/// Packages of certain versions.
#[derive(Debug)]
pub(super) struct Packages {
    apt: Apt,
    names: Vec<String>,
    /// File names with sizes and digests, as apt tells them.
    pub(super) versions: Vec<String>,
}

/// Finds the newest versions. In the folder there may be lists of our own afterwards.
pub(super) fn find(work: &Path) -> Result<Packages, SmallError> {
    match Packages::by(Apt::of_computer()) {
        Err(SmallError::NoPackage { .. } | SmallError::Failed { .. }) => {}
        found => return found,
    }
    let own = Apt::of_folder(work)?;
    match Packages::by(own.clone()) {
        Err(SmallError::NoPackage { .. } | SmallError::Failed { .. }) => {}
        found => return found,
    }
    own.update()?;
    Packages::by(own)
}

impl Packages {
    fn by(apt: Apt) -> Result<Self, SmallError> {
        let mut names = apt.closure(&PROGRAMS)?;
        names.extend(ALONE.map(str::to_owned));
        names.push(apt.kernel()?);
        names.sort();
        names.dedup();
        let versions = apt.versions(&names)?;
        Ok(Self { apt, names, versions })
    }

    /// Fetches them and unpacks them into a folder beneath the work folder, which is returned.
    pub(super) fn unpack(&self, work: &Path) -> Result<PathBuf, SmallError> {
        let (files, root) = (work.join("packages"), work.join("root"));
        for folder in [&files, &root] {
            fs::create_dir_all(folder).map_err(SmallError::file("make", folder))?;
        }
        if let Err(gone) = self.apt.download(&self.names, &files) {
            let own = Apt::of_folder(work)?;
            own.update().map_err(|_offline| gone)?;
            own.download(&self.names, &files)?;
        }
        let entries = fs::read_dir(&files).map_err(SmallError::file("read", &files))?;
        for entry in entries {
            let file = entry.map_err(SmallError::file("read", &files))?.path();
            if file.extension().is_some_and(|extension| extension == "deb") {
                DPKG_DEB.run(DPKG_DEB.command().arg("-x").arg(file).arg(&root))?;
            }
        }
        Ok(root)
    }
}

/// apt with certain lists.
#[derive(Clone, Debug)]
struct Apt {
    options: Vec<String>,
}

impl Apt {
    fn of_computer() -> Self {
        // Else it warns when root's folder cannot be read by the user that fetches.
        let options = ["-o", "APT::Sandbox::User=root"].map(str::to_owned).to_vec();
        Self { options }
    }

    fn of_folder(work: &Path) -> Result<Self, SmallError> {
        let mut apt = Self::of_computer();
        for (setting, name) in [("Dir::State::lists", "lists"), ("Dir::Cache", "cache")] {
            let folder = work.join("apt").join(name);
            for partial in ["partial", "archives/partial"] {
                let folder = folder.join(partial);
                fs::create_dir_all(&folder).map_err(SmallError::file("make", folder))?;
            }
            apt.options
                .extend(["-o".to_owned(), format!("{setting}={}", folder.display())]);
        }
        Ok(apt)
    }

    fn get(&self) -> Command {
        let mut command = APT_GET.command();
        command.arg("-q").args(&self.options);
        command
    }

    fn depends(&self, words: &[&str], package: &str) -> Result<String, SmallError> {
        let mut command = APT_CACHE.command();
        let output = APT_CACHE.output(command.args(&self.options).arg("depends").args(words).arg(package))?;
        if !output.status.success() {
            return Err(SmallError::NoPackage {
                package: package.to_owned(),
            });
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// These packages and all that they need.
    fn closure(&self, packages: &[&str]) -> Result<Vec<String>, SmallError> {
        let words = ["--recurse", "--important"];
        let mut all = vec![];
        for package in packages {
            all.extend(listed(&self.depends(&words, package)?));
        }
        Ok(all)
    }

    fn kernel(&self) -> Result<String, SmallError> {
        let text = self.depends(&["--important"], KERNEL)?;
        newest_kernel(&text).ok_or_else(|| SmallError::NoPackage {
            package: KERNEL.to_owned(),
        })
    }

    fn versions(&self, names: &[String]) -> Result<Vec<String>, SmallError> {
        let text = APT_GET.run(self.get().args(["download", "--print-uris"]).args(names))?;
        let mut versions: Vec<String> = String::from_utf8_lossy(&text)
            .lines()
            .filter_map(|line| Some(line.split_once("' ")?.1.to_owned()))
            .collect();
        versions.sort();
        Ok(versions)
    }

    fn download(&self, names: &[String], into: &Path) -> Result<(), SmallError> {
        let mut command = self.get();
        command.current_dir(into).arg("download").args(names);
        let output = APT_GET.output(&mut command)?;
        if output.status.success() {
            return Ok(());
        }
        Err(SmallError::NoNetwork {
            said: last_words(&output),
        })
    }

    fn update(&self) -> Result<(), SmallError> {
        let output = APT_GET.output(self.get().arg("update"))?;
        // It calls itself successful although servers could not be reached, and only warns.
        let said = String::from_utf8_lossy(&output.stderr);
        let unreached = said.lines().find(|line| line.contains("Failed to fetch"));
        match unreached {
            None if output.status.success() => Ok(()),
            Some(line) if self.depends(&[], KERNEL).is_err() => Err(SmallError::NoNetwork { said: line.to_owned() }),
            Some(_) => Ok(()),
            None => Err(SmallError::NoNetwork {
                said: last_words(&output),
            }),
        }
    }
}

/// The packages in what `apt-cache depends --recurse` writes: each at the beginning of a line, virtual ones in angle brackets.
fn listed(text: &str) -> Vec<String> {
    let names = text
        .lines()
        .filter(|line| line.starts_with(|first: char| first.is_ascii_alphanumeric()));
    names.map(str::to_owned).collect()
}

fn newest_kernel(text: &str) -> Option<String> {
    let names = text.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    names.filter(|name| name.starts_with(KERNELS)).map(str::to_owned).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_stand_at_the_beginning_of_lines() {
        let text =
            "dropbear-bin\n  Depends: libc6\n |Depends: a\n  Depends: <b>\n    c\nlibc6\n  Depends: libgcc-s1\n<b>\n";
        assert_eq!(listed(text), ["dropbear-bin", "libc6"]);
    }

    #[test]
    fn the_kernel_is_what_its_package_depends_on() {
        let text = "linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-56-cloud-amd64\n";
        assert_eq!(newest_kernel(text).as_deref(), Some("linux-image-6.1.0-56-cloud-amd64"));
        assert_eq!(newest_kernel("linux-image-cloud-amd64\n"), None);
    }
}
