//! The machine that a report was made on, and the commit that it was made from.

use std::process::Command;

use anyhow::Result;

use crate::tool;

/// Facts for the head of a report. Nothing that tells whose machine it is.
pub struct Machine {
    /// Model of the processor.
    pub cpu: String,
    /// How many processors this process may use.
    pub cores: usize,
    /// Main memory in GB (10⁹ bytes), rounded.
    pub memory_gb: u64,
    /// Release of the kernel.
    pub kernel: String,
    /// Congestion controls that the kernel offers; the first is the default.
    pub congestion: Vec<String>,
    /// The day, UTC.
    pub date: String,
    /// Short commit, with `+` when the tree had changes.
    pub commit: String,
}

impl Machine {
    /// Looks.
    pub fn read() -> Result<Machine> {
        let cpuinfo = proc("cpuinfo");
        let cpu = field(&cpuinfo, "model name")
            .or_else(|| field(&cpuinfo, "CPU part"))
            .unwrap_or("unknown")
            .to_owned();
        let kilobytes =
            field(&proc("meminfo"), "MemTotal").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
        let standard = proc("sys/net/ipv4/tcp_congestion_control").trim().to_owned();
        let offered = proc("sys/net/ipv4/tcp_available_congestion_control");
        let others = offered
            .split_whitespace()
            .filter(|name| *name != standard)
            .map(str::to_owned);
        let congestion = std::iter::once(standard.clone()).chain(others).collect();
        Ok(Machine {
            cpu,
            cores: std::thread::available_parallelism()?.get(),
            memory_gb: (kilobytes.unwrap_or(0) * 1024 + 500_000_000) / 1_000_000_000,
            kernel: proc("sys/kernel/osrelease").trim().to_owned(),
            congestion,
            date: tool::output(Command::new("date").args(["--utc", "+%Y-%m-%d"]))?
                .trim()
                .to_owned(),
            commit: commit()?,
        })
    }
}

fn commit() -> Result<String> {
    let root = tool::root()?;
    let git = |args: &[&str]| tool::output(Command::new("git").current_dir(&root).args(args));
    let Ok(short) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return Ok("not a git checkout".to_owned());
    };
    // The reports themselves are written by the run that reads this.
    let changed = git(&["status", "--porcelain", "--untracked-files=no", "--", ":!docs"])?;
    let mark = if changed.is_empty() { "" } else { "+" };
    Ok(format!("{}{mark}", short.trim()))
}

fn proc(name: &str) -> String {
    std::fs::read_to_string(format!("/proc/{name}")).unwrap_or_default()
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim())
}
