//! The policy in force: looked after in each round, changed without a restart, and told of in status and ledger.

use std::sync::Arc;

use ulm_model::Time;
use ulm_model::ledger::Event;
use ulm_policy::Policy;
use ulm_store::StoreError;

use super::Core;
use crate::order::{OrderError, Refusal};
use crate::policy_file::Look;
use crate::view::PolicyStatus;

/// The setting that holds the digest of the policy in force, and since when it is.
const IN_FORCE: &str = "policy";

/// The trouble of a policy that is not sound.
const REFUSED: &str = "policy";

/// The trouble of a change that only a new start can take in.
const EVERYWHERE: &str = "policy, everywhere";

impl Core {
    /// What the user wants.
    pub(super) fn policy(&self) -> &Policy {
        self.policy.policy()
    }

    /// Finds out since when the policy is in force, which may be longer than ULM runs.
    pub(super) fn begin_with_policy(&mut self, now: Time) -> Result<(), StoreError> {
        let known: Option<(String, Time)> = self.books.store().setting(IN_FORCE)?;
        let since = match &known {
            Some((digest, since)) if digest == self.policy.digest() => *since,
            _ => now,
        };
        self.show_policy(since);
        if known.as_ref().is_none_or(|(digest, _)| digest != self.policy.digest()) {
            self.books.store().set_setting(IN_FORCE, &(self.policy.digest(), now))?;
        }
        if known.is_some_and(|(digest, _)| digest != self.policy.digest()) {
            self.books.store().append(now, &self.changed("start"))?;
        }
        Ok(())
    }

    /// Once in a round.
    pub(super) fn look_at_policy(&mut self) {
        let look = self.policy.look();
        self.take_policy(look, "file");
    }

    /// Reads the files because somebody asks for it. An error when they are not sound; the old policy stays then.
    pub(super) fn reload_policy(&mut self, by: &str) -> Result<PolicyStatus, OrderError> {
        if self.policy.file().is_none() {
            let message =
                "this daemon was started without a policy file: start it again with `ulm serve --policy FILE`";
            return Err(OrderError::new(Refusal::Conflict, message));
        }
        let look = self.policy.look_closely();
        self.take_policy(look, by);
        match self.policy.refused() {
            Some(error) => {
                let message = format!("the policy is not sound, and the old one stays in force: {error}");
                Err(OrderError::new(Refusal::Malformed, message))
            }
            None => Ok(self.published.policy_status.clone()),
        }
    }

    fn take_policy(&mut self, look: Look, by: &str) {
        let now = self.clock.now();
        match look {
            Look::Same => {}
            Look::Changed => {
                let event = self.changed(by);
                tracing::info!(%event, "another policy is in force");
                self.tell(&event);
                if let Err(error) = self.books.store().set_setting(IN_FORCE, &(self.policy.digest(), now)) {
                    tracing::warn!(%error, "since when the policy is in force is not kept");
                }
                self.show_policy(now);
                self.troubles.remove(REFUSED);
                self.note_everywhere();
            }
            Look::Refused(error) => {
                let since = self.published.policy_status.since;
                let told = format!(
                    "the policy of {since} stays in force, because the file is not sound: {error}. Mend it; it is looked at in each round"
                );
                tracing::warn!(%error, "a changed policy is not sound: the old one stays in force");
                self.tell(&Event::PolicyRefused { file: self.policy_name(), error });
                self.troubles.insert(REFUSED, told);
                self.show_policy(since);
            }
            Look::Mended => {
                tracing::info!("the policy's file is sound again and says what is in force");
                self.troubles.remove(REFUSED);
                self.show_policy(self.published.policy_status.since);
            }
        }
    }

    fn changed(&self, by: &str) -> Event {
        Event::PolicyChanged { digest: self.policy.digest().to_owned(), file: self.policy_name(), by: by.to_owned() }
    }

    fn policy_name(&self) -> String {
        self.policy.file().map_or_else(|| "the defaults".to_owned(), |file| file.display().to_string())
    }

    fn show_policy(&mut self, since: Time) {
        self.published.policy = Arc::new(self.policy().clone());
        self.published.policy_status = PolicyStatus {
            file: self.policy.file().map(|file| file.display().to_string()),
            digest: self.policy.digest().to_owned(),
            since,
            refused: self.policy.refused().map(str::to_owned),
        };
    }

    /// What every host has is told to drivers when they are made.
    fn note_everywhere(&mut self) {
        if self.policy().everywhere == self.everywhere {
            self.troubles.remove(EVERYWHERE);
            return;
        }
        let told = "[everywhere] of the policy has changed, and takes effect when ulm is started again; all the rest is in force";
        self.troubles.insert(EVERYWHERE, told.to_owned());
    }
}
