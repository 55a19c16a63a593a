//! Whether the clock can be believed, so that no code that was seen earlier is current again.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::change::ChangeDecision;
use super::error::StoreError;
use super::records::StateRecord;
use super::seal::SealError;
use super::state::StateTables;
use super::write::RecordEdit;
use super::writer::StateWriter;
use super::{StateShared, StateStore};
use portcullis_base::clock::{BootTime, ClockDisagreement, Timestamp};
use portcullis_mfa::MfaDevice;

/// Where the latest time is kept that was seen.
pub(crate) const LAST_TIME: &str = "meta/clock";

/// The latest time that was seen, for the next start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LastTime {
    pub seen: Timestamp,
    /// When the machine booted; `None` where it cannot tell one boot from another.
    pub boot: Option<BootTime>,
}

/// Times in milliseconds since 1970, `adjusted` since the boot.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LastTimeJson {
    seen: i64,
    boot: Option<BootTimeJson>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BootTimeJson {
    id: String,
    booted: i64,
    adjusted: i64,
}

impl LastTime {
    /// The written form.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, SealError> {
        let boot = self.boot.as_ref().map(|boot| BootTimeJson {
            id: boot.boot_id.clone(),
            booted: boot.booted,
            adjusted: boot.adjusted,
        });
        serde_json::to_vec(&LastTimeJson { seen: self.seen.millis(), boot }).map_err(|_| SealError::NotSealed)
    }

    /// Reads the written form, or the bare number of earlier versions.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        if let Ok(millis) = serde_json::from_slice::<i64>(bytes) {
            return Some(Self { seen: Timestamp::from_millis(millis), boot: None });
        }
        let json: LastTimeJson = serde_json::from_slice(bytes).ok()?;
        let boot = json.boot.map(|boot| BootTime { boot_id: boot.id, booted: boot.booted, adjusted: boot.adjusted });
        Some(Self { seen: Timestamp::from_millis(json.seen), boot })
    }
}

impl StateStore {
    /// Looks at the clock and keeps its time, so that one that is set is noticed, also over a restart.
    ///
    /// Where it was set, all codes of before are spent first.
    pub async fn watch_clock(&self, now: Timestamp) -> Result<(), StoreError> {
        let inner = Arc::clone(&self.0);
        self.finish(async move {
            let mut writer = inner.writer.lock().await;
            let checked = inner.check_clock(&mut writer, now).await;
            writer.remember_time(&inner.memory, now).await?;
            checked.map(|_| ())
        })
        .await
    }

    /// What the clock says and should say, where the two are apart.
    pub fn clock_disagreement(&self) -> Option<ClockDisagreement> {
        self.0.clock.check().err()
    }

    /// Believes the clock as it is; the answer is what it should have said, if that was something else.
    ///
    /// No code of before counts afterwards.
    pub async fn accept_clock(&self) -> Result<Option<ClockDisagreement>, StoreError> {
        let inner = Arc::clone(&self.0);
        self.finish(async move {
            let mut writer = inner.writer.lock().await;
            let Some(disagreement) = inner.clock.watch().and_then(|clock| clock.accept()) else { return Ok(None) };
            let now = disagreement.wall;
            writer.last_seen = now;
            inner.spend_seen_codes(&mut writer, now).await?;
            writer.remember_time(&inner.memory, now).await?;
            Ok(Some(disagreement))
        })
        .await
    }
}

impl StateShared {
    /// The time to judge codes by; a clock by which codes could be current that were seen long ago is refused.
    ///
    /// `now` is from when the request came, and the clock may have been another one then: a watched one is read again.
    pub(super) async fn check_clock(&self, writer: &mut StateWriter, now: Timestamp) -> Result<Timestamp, StoreError> {
        let checked = self.clock.watch().map_or(Ok(now), |clock| clock.check());
        self.spend_seen_codes(writer, now).await?;
        let now = checked.map_err(StoreError::ClockDisagrees)?;
        writer.check_time(now)?;
        Ok(now)
    }

    /// Spends the codes that may have been seen before the clock was set, on every device.
    async fn spend_seen_codes(&self, writer: &mut StateWriter, now: Timestamp) -> Result<(), StoreError> {
        let Some((watch, until)) = self.clock.watch().and_then(|watch| Some((watch, watch.codes_seen_until()?))) else {
            return Ok(());
        };
        let spent = |device: &MfaDevice| RecordEdit::Put(StateRecord::Device(device.with_codes_spent(until)));
        // Also without a device: the time of the write counts.
        let spend = |state: &StateTables| {
            let edits = state.devices.values().map(spent).collect();
            Ok::<_, StoreError>(ChangeDecision::Write { edits, answer: () })
        };
        writer.change(&self.memory, now, spend).await?;
        watch.codes_are_spent(until);
        Ok(())
    }
}
