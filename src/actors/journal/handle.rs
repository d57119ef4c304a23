//! How others put entries into the journal.

use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;

use super::actor::JournalActor;
use super::protocol::*;
use crate::actors::goods::{BatchDone, HoldToken};
use crate::domain::fold::{Command, Outcome};
use crate::domain::id::WxappId;
use crate::store::Write;

/// What a caller who was told `unavailable` would have heard.
pub type LateAnswer = oneshot::Receiver<Result<Outcome, JournalError>>;

/// The way to the journal. Clones lead to the same one.
#[derive(Clone)]
pub struct JournalHandle {
    journal: Addr<JournalActor>,
    /// How long a caller waits before he is told `unavailable`; the entry goes on without him.
    patience: Duration,
}

impl JournalHandle {
    pub fn new(journal: Addr<JournalActor>, patience: Duration) -> Self {
        Self { journal, patience }
    }

    /// Puts a command into the next batch and waits for what comes of it.
    pub async fn submit(
        &self,
        wxapp: WxappId,
        command: Command,
        hold: Option<HoldToken>,
    ) -> Result<Outcome, JournalError> {
        self.submit_and_follow(wxapp, command, hold).await.0
    }

    /// The same; an answer that is late can still be waited for: until then the fate of the command
    /// is open.
    pub async fn submit_and_follow(
        &self,
        wxapp: WxappId,
        command: Command,
        hold: Option<HoldToken>,
    ) -> (Result<Outcome, JournalError>, Option<LateAnswer>) {
        let (reply, mut outcome) = oneshot::channel();
        // The permits at the edge bound how many are under way; an entry that carries a hold must
        // not be lost to a full mailbox.
        self.journal.do_send(Submit { wxapp, command, hold, reply });
        match tokio::time::timeout(self.patience, &mut outcome).await {
            Ok(answer) => (answer.unwrap_or(Err(JournalError::Unavailable)), None),
            Err(_) => (Err(JournalError::Unavailable), Some(outcome)),
        }
    }

    /// Writes plain statements with the next commit.
    pub async fn write(&self, write: Write) -> Result<(), JournalError> {
        if write.is_empty() {
            return Ok(());
        }
        let (reply, written) = oneshot::channel();
        self.journal.do_send(WriteRows { write, reply });
        self.wait(written).await
    }

    /// Names the goods actor of a mini-program.
    pub fn listen(&self, wxapp: WxappId, goods: Recipient<BatchDone>) {
        self.journal.do_send(Listen { wxapp, goods });
    }

    /// Writes what is queued and closes.
    pub async fn drain(&self) {
        let _ended = self.journal.send(Drain).await;
    }

    pub async fn snapshot(&self) -> Option<Snapshot> {
        self.journal.send(GetSnapshot).await.ok()
    }

    async fn wait<T>(
        &self,
        outcome: oneshot::Receiver<Result<T, JournalError>>,
    ) -> Result<T, JournalError> {
        match tokio::time::timeout(self.patience, outcome).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) | Err(_) => Err(JournalError::Unavailable),
        }
    }
}
