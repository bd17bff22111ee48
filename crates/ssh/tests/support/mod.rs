//! What the tests of connections share: people who answer, and SFTP just far enough to see that it speaks.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use renkei_ssh::{ByteChannel, ConnectError, Connection, Destination, Dialer, Echo, Options, Prompt, PromptError};
use renkei_testkit::Sshd;

/// Answers in order, and remembers what was asked; without answers left there is no one to ask.
#[derive(Default)]
pub struct Person {
    answers: Mutex<VecDeque<String>>,
    asked: Mutex<Vec<String>>,
    notes: Mutex<Vec<String>>,
}

impl Person {
    pub fn absent() -> Arc<Self> {
        Self::answering(&[])
    }

    pub fn answering(answers: &[&str]) -> Arc<Self> {
        Arc::new(Self {
            answers: Mutex::new(answers.iter().map(|answer| (*answer).to_owned()).collect()),
            ..Self::default()
        })
    }

    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    pub fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap().clone()
    }
}

impl Prompt for Person {
    fn ask(&self, text: &str, _echo: Echo) -> Result<String, PromptError> {
        self.asked.lock().unwrap().push(text.to_owned());
        self.answers.lock().unwrap().pop_front().ok_or(PromptError::NoOne)
    }

    fn note(&self, text: &str) {
        self.notes.lock().unwrap().push(text.to_owned());
    }
}

pub fn options(sshd: &Sshd) -> Options {
    Options {
        config_file: Some(sshd.ssh_config()),
        ..Options::default()
    }
}

/// Options with `-o` lines before those of the server's configuration.
pub fn options_with(sshd: &Sshd, lines: &[&str]) -> Options {
    Options {
        options: lines.iter().map(|line| (*line).to_owned()).collect(),
        ..options(sshd)
    }
}

pub async fn dialer(options: &Options, person: &Arc<Person>) -> Result<Dialer, ConnectError> {
    let person: Arc<dyn Prompt> = Arc::clone(person) as _;
    Dialer::resolve(&Destination::host("testhost"), options, person).await
}

pub async fn connect(options: &Options, person: &Arc<Person>) -> Result<Connection, ConnectError> {
    dialer(options, person).await?.connect().await
}

/// The error with its causes, as the edge prints it.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}

/// Sends INIT and gives the type of the answer, 2 for VERSION; none if the channel ended instead.
pub async fn greet(channel: &mut ByteChannel) -> Option<u8> {
    channel
        .send(Bytes::from_static(&[0, 0, 0, 5, 1, 0, 0, 0, 3]))
        .await
        .ok()?;
    let answer = channel.recv().await?;
    answer.get(4).copied()
}

/// Whether SFTP answers on a new channel.
pub async fn speaks_sftp(connection: &Connection) -> bool {
    match connection.sftp_channel().await {
        Ok(mut channel) => greet(&mut channel).await == Some(2),
        Err(_) => false,
    }
}
