//! Whether a server's host may have crashed since an earlier moment.
//!
//! A session that was open then and still answers proves that it has not. Sessions die one by one and are noticed late,
//! while others are opened: so a new session proves nothing about the time before it was opened, until one that is older
//! has answered after that.

use renkei_ssh::sftp::Sftp;

/// The open sessions of a server by what they prove.
pub struct Witness<S = Sftp> {
    /// Open since before everything that was acknowledged since the last break.
    proven: Vec<S>,
    /// Opened later.
    fresh: Vec<S>,
    opened: bool,
    breaks: u64,
}

/// What a witness has to know of a session.
pub trait Session {
    fn is_over(&self) -> bool;
    fn is_same(&self, other: &Self) -> bool;
}

impl Session for Sftp {
    fn is_over(&self) -> bool {
        self.is_closed()
    }

    fn is_same(&self, other: &Self) -> bool {
        Sftp::is_same(self, other)
    }
}

impl<S> Default for Witness<S> {
    fn default() -> Self {
        Self {
            proven: Vec::new(),
            fresh: Vec::new(),
            opened: false,
            breaks: 0,
        }
    }
}

impl<S: Session> Witness<S> {
    /// A session was opened.
    pub fn opened(&mut self, session: S) {
        self.look();
        if self.proven.is_empty() {
            self.breaks += u64::from(self.opened);
            self.opened = true;
            self.proven.push(session);
        } else {
            self.fresh.push(session);
        }
    }

    /// A session has answered now.
    pub fn heard(&mut self, session: &S) {
        if !self.fresh.is_empty() && self.is_proven(session) {
            self.proven.append(&mut self.fresh);
        }
    }

    /// Whether the session has been open since the last break.
    pub fn is_proven(&self, session: &S) -> bool {
        self.proven.iter().any(|proven| proven.is_same(session))
    }

    /// How often the host may have crashed so far, as far as it is noticed.
    pub fn breaks(&mut self) -> u64 {
        self.look();
        self.breaks
    }

    fn look(&mut self) {
        self.proven.retain(|session| !session.is_over());
        self.fresh.retain(|session| !session.is_over());
        if self.proven.is_empty() && !self.fresh.is_empty() {
            self.proven.append(&mut self.fresh);
            self.breaks += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    #[derive(Clone)]
    struct Fake(Arc<AtomicBool>);

    impl Session for Fake {
        fn is_over(&self) -> bool {
            self.0.load(Relaxed)
        }

        fn is_same(&self, other: &Self) -> bool {
            Arc::ptr_eq(&self.0, &other.0)
        }
    }

    fn open(witness: &mut Witness<Fake>) -> Fake {
        let session = Fake(Arc::default());
        witness.opened(session.clone());
        session
    }

    fn lose(session: &Fake) {
        session.0.store(true, Relaxed);
    }

    #[test]
    fn all_gone_and_one_back_is_a_break() {
        let mut witness = Witness::default();
        let (one, two) = (open(&mut witness), open(&mut witness));
        lose(&one);
        lose(&two);
        assert_eq!(witness.breaks(), 0, "nothing can be asked of it yet");
        open(&mut witness);
        assert_eq!(witness.breaks(), 1);
    }

    #[test]
    fn one_that_stays_and_answers_vouches_for_those_that_came_later() {
        let mut witness = Witness::default();
        let (old, new) = (open(&mut witness), open(&mut witness));
        assert!(!witness.is_proven(&new));
        witness.heard(&old);
        assert!(witness.is_proven(&new));
        lose(&old);
        assert_eq!(witness.breaks(), 0);
    }

    #[test]
    fn a_death_that_is_noticed_late_is_a_break_all_the_same() {
        let mut witness = Witness::default();
        let old = open(&mut witness);
        // The host is back already, and nothing has come from the old session since.
        let new = open(&mut witness);
        witness.heard(&new);
        lose(&old);
        assert_eq!(witness.breaks(), 1);
        assert!(witness.is_proven(&new));
    }
}
