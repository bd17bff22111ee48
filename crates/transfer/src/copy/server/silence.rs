//! Notices servers that stay connected and answer nothing: a file system there hangs, or the server means harm. SSH's own
//! signs of life come from sshd, which knows nothing of that.

use std::sync::Arc;
use std::time::Duration;

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
        if heard != last || !sessions.iter().any(|sftp| sftp.is_waiting()) {
            (last, quiet) = (heard, Duration::ZERO);
            continue;
        }
        quiet += LOOK;
        if quiet >= timeout {
            return;
        }
    }
}
