//! Notices servers that stay connected and answer nothing: a file system there hangs, or the server means harm. SSH's own
//! signs of life come from sshd, which knows nothing of that.

use std::sync::Arc;
use std::time::Duration;

use renkei_ssh::sftp::Sftp;

use super::Server;

/// How often the sessions are looked at.
const LOOK: Duration = Duration::from_millis(250);

/// Returns when answers were due for `timeout` and none came, from any of the servers. Looks are counted, not the time
/// between them: a program that was stopped and goes on (SIGSTOP, SIGCONT) has to hear its answers first.
pub async fn lasts(servers: &[Arc<Server>], timeout: Duration) {
    let (mut last, mut quiet) = (0, Duration::ZERO);
    loop {
        tokio::time::sleep(LOOK).await;
        let sessions: Vec<_> = servers.iter().flat_map(|server| server.sessions()).collect();
        let heard: u64 = sessions.iter().map(|sftp| sftp.bytes_in()).sum();
        // Shells read their start files before a session begins; how long that may take is not decided here.
        let is_due = |sftp: &Sftp| sftp.is_ready() && sftp.is_waiting();
        if heard != last || !sessions.iter().any(is_due) {
            (last, quiet) = (heard, Duration::ZERO);
            continue;
        }
        quiet += LOOK;
        if quiet >= timeout {
            return;
        }
    }
}
