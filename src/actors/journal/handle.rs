//! How others put entries into the journal.

use std::time::Duration;

use actix::prelude::*;
use rand::RngCore as _;
use tokio::sync::oneshot;

use super::actor::JournalActor;
use super::protocol::*;
use crate::actors::goods::{HoldToken, Listener};
use crate::domain::fold::{Command, Outcome};
use crate::domain::id::WxappId;
use crate::domain::time::Timestamp;
use crate::store::Write;
use crate::store::claims::{Claim, ClaimChange, Work};

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

    /// The same for what was done under a claim: written only while that holds.
    pub async fn submit_under(
        &self,
        claim: &Claim,
        wxapp: WxappId,
        command: Command,
    ) -> Result<Outcome, JournalError> {
        let (reply, outcome) = oneshot::channel();
        let claim = Some(claim.clone());
        self.journal.do_send(Submit {
            wxapp,
            command,
            hold: None,
            claim,
            locked_since: None,
            reply,
        });
        self.wait(outcome).await
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
        self.journal.do_send(Submit {
            wxapp,
            command,
            hold,
            claim: None,
            locked_since: None,
            reply,
        });
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

    /// Takes a piece of work; none: somebody has it, or it rests.
    pub async fn take(&self, work: Work, until: Timestamp) -> Result<Option<Claim>, JournalError> {
        let token = random_token();
        let taken = self.change(ClaimChange::Take { work, token: token.clone(), until }).await?;
        Ok(taken.map(|tries| Claim { work, token, until, tries }))
    }

    /// The work is done, or given back.
    pub async fn end(&self, claim: Claim) -> Result<(), JournalError> {
        let Claim { work, token, .. } = claim;
        self.change(ClaimChange::End { work, token }).await.map(drop)
    }

    /// The work is done for now; nobody takes it up before `until`.
    pub async fn rest(&self, claim: Claim, until: Timestamp) -> Result<(), JournalError> {
        let Claim { work, token, .. } = claim;
        self.change(ClaimChange::Rest { work, token, until }).await.map(drop)
    }

    async fn change(&self, change: ClaimChange) -> Result<Option<i64>, JournalError> {
        let (reply, changed) = oneshot::channel();
        self.journal.do_send(ChangeClaim { change, reply });
        self.wait(changed).await
    }

    /// Names the goods actor of a mini-program.
    pub fn listen(&self, wxapp: WxappId, goods: Listener) {
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

/// 32 letters that nobody else draws.
pub(crate) fn random_token() -> String {
    let mut bytes = [0; 16];
    rand::rng().fill_bytes(&mut bytes);
    hex::encode(bytes)
}
