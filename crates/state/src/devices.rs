//! Devices: made, enabled, judged, taken away.

use std::sync::{Arc, PoisonError};

use super::change::ChangeDecision;
use super::code_queue::{CodeQueue, CodeSource, QueueLane, QueuePlace};
use super::error::{SpendError, StoreError};
use super::records::{RecordKey, StateRecord};
use super::seal::SealError;
use super::state::StateTables;
use super::writer::StateWriter;
use super::{StateShared, StateStore};
use portcullis_authorization::MfaDelete;
use portcullis_base::clock::Timestamp;
use portcullis_base::names::{BucketName, DeviceSerial};
use portcullis_base::secret::Secret;
use portcullis_mfa::{
    CodeCheck, CodeDigits, CodeJudgement, DeviceStatus, LedgerFuture, MfaDevice, MfaFault, Proof, Seed, StepLedger,
    TokenCode,
};
use portcullis_sigv4::Principal;

/// A device as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedDevice {
    pub serial: DeviceSerial,
    pub digits: CodeDigits,
    pub created: Timestamp,
    pub status: DeviceStatus,
}

/// A device that was just made: the one time its seed is shown.
#[derive(Debug)]
pub struct NewDevice {
    pub serial: DeviceSerial,
    pub digits: CodeDigits,
    pub base32_seed: Secret<String>,
    pub otpauth_uri: Secret<String>,
}

/// The enabling of a device, by two consecutive codes of its own.
#[derive(Debug)]
pub struct DeviceEnabling {
    pub serial: DeviceSerial,
    pub first: TokenCode,
    pub second: TokenCode,
}

/// The end of an active device's right to be heard.
#[derive(Debug)]
pub struct DeviceDeactivation {
    pub serial: DeviceSerial,
}

/// A change of devices. Beside an active device it takes a proof, made for this very change.
#[derive(Debug)]
pub enum DeviceChange<T> {
    Proved(Proof<T>),
    Unproved(T),
}

/// The devices of the state as [`mfa::spend`](portcullis_mfa::spend) uses them: for one request, from one place.
#[derive(Debug)]
pub struct DeviceLedger<'a> {
    store: &'a StateStore,
    principal: &'a Principal,
    source: CodeSource,
    now: Timestamp,
}

/// As many as AWS lets root have, those included that were never enabled.
const MOST_DEVICES: usize = 8;

impl StateStore {
    /// The devices, by serial.
    pub fn devices(&self) -> Vec<ListedDevice> {
        self.0.memory.read().devices.values().map(listed).collect()
    }

    /// One device.
    pub fn device(&self, serial: &DeviceSerial) -> Option<ListedDevice> {
        self.0.memory.read().devices.get(serial).map(listed)
    }

    /// Whether some device's codes count.
    pub fn has_active_device(&self) -> bool {
        self.0.memory.read().has_active_device()
    }

    /// A bucket with MFA Delete, if no other device than this is active: it must not lose its last device.
    pub fn guarded_by_only(&self, serial: &DeviceSerial) -> Option<BucketName> {
        self.0.memory.read().guarded_by_only(serial).cloned()
    }

    /// How many consecutive codes the device asks for now.
    pub fn codes_needed(&self, serial: &DeviceSerial, now: Timestamp) -> Option<usize> {
        self.0.memory.read().devices.get(serial).map(|device| device.codes_needed(now))
    }

    /// Where codes of this principal, from this place, are spent.
    pub fn step_ledger<'a>(&'a self, principal: &'a Principal, source: CodeSource, now: Timestamp) -> DeviceLedger<'a> {
        DeviceLedger { store: self, principal, source, now }
    }

    /// Judges an offer of codes, once it is its turn.
    async fn judge_in_turn(
        &self,
        check: CodeCheck,
        source: CodeSource,
        now: Timestamp,
    ) -> Result<CodeJudgement, SpendError> {
        let inner = Arc::clone(&self.0);
        // Only devices that exist have a queue, so that serials made up by a client fill nothing.
        let device = inner.memory.read().known_device(check.serial()).cloned().map_err(|_| MfaFault::UnknownDevice)?;
        let judgement = check.judge(&device, now);
        if let Some(fault) = free_fault(&device, &judgement) {
            return self.finish(async move { inner.refuse(fault, now).await }).await;
        }
        let steady = inner.clock.expected(now);
        let lane = QueueLane::of(source, check.count(), judgement.fault());
        let mut place = inner.queue_of(check.serial()).enter(lane, steady)?;
        // Before its turn nothing has happened, so that an offer whose client left leaves the queue.
        place.turn(steady).await?;
        self.finish(async move { inner.judge(&check, &place, now).await }).await
    }

    /// Makes a device that is still to be enabled.
    pub async fn create_device(
        &self,
        serial: &DeviceSerial,
        digits: CodeDigits,
        now: Timestamp,
    ) -> Result<NewDevice, StoreError> {
        let (inner, serial) = (Arc::clone(&self.0), serial.clone());
        self.finish(async move {
            let mut random = zeroize::Zeroizing::new([0; Seed::LENGTH]);
            getrandom::fill(random.as_mut_slice()).map_err(|_| SealError::NoRandomness)?;
            let device = MfaDevice::new(serial, Seed::new(*random), digits, now);
            let decide = |state: &StateTables| {
                state.expect_room_for_device(&device.serial)?;
                Ok::<_, StoreError>(ChangeDecision::put(StateRecord::Device(device.clone()), ()))
            };
            inner.change(now, decide).await?;
            let (base32_seed, otpauth_uri) = (device.seed.base32(), device.otpauth_uri(&inner.account.id));
            Ok(NewDevice { serial: device.serial, digits, base32_seed, otpauth_uri })
        })
        .await
    }

    /// Enables a device by two consecutive codes; beside an active one, only with proof of that.
    pub async fn enable_device(&self, change: DeviceChange<DeviceEnabling>, now: Timestamp) -> Result<(), StoreError> {
        let inner = Arc::clone(&self.0);
        self.finish(async move {
            let mut writer = inner.writer.lock().await;
            let now = inner.check_clock(&mut writer, now).await?;
            let decide = |state: &StateTables| {
                state.expect_proof(&change)?;
                let DeviceEnabling { serial, first, second } = change.subject();
                let enabled = state.known_device(serial)?.enrol(first, second, now)?;
                Ok(ChangeDecision::put(StateRecord::Device(enabled), ()))
            };
            writer.change(&inner.memory, now, decide).await
        })
        .await
    }

    /// Takes an active device's right to be heard, by proof of an active one. The last one stays while a bucket has MFA
    /// Delete, which could not be changed any more.
    pub async fn deactivate_device(
        &self,
        change: DeviceChange<DeviceDeactivation>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let inner = Arc::clone(&self.0);
        self.finish(async move {
            let decide = |state: &StateTables| {
                let device = state.known_device(&change.subject().serial)?;
                match device.status {
                    DeviceStatus::Active { .. } => {}
                    DeviceStatus::Pending => return Err(StoreError::DeviceNotActive),
                }
                state.expect_proof(&change)?;
                if let Some(bucket) = state.guarded_by_only(&device.serial) {
                    return Err(StoreError::DeviceGuards { bucket: bucket.clone() });
                }
                Ok(ChangeDecision::put(StateRecord::Device(device.clone().deactivated()), ()))
            };
            inner.change(now, decide).await
        })
        .await
    }

    /// Takes away a device that is not active.
    pub async fn delete_device(&self, serial: &DeviceSerial, now: Timestamp) -> Result<(), StoreError> {
        let (inner, serial) = (Arc::clone(&self.0), serial.clone());
        self.finish(async move {
            let decide = |state: &StateTables| match state.known_device(&serial)?.status {
                DeviceStatus::Active { .. } => Err(StoreError::DeviceActive),
                DeviceStatus::Pending => Ok::<_, StoreError>(ChangeDecision::delete(RecordKey::Device(serial.clone()))),
            };
            inner.change(now, decide).await?;
            inner.forget_queue(&serial);
            Ok(())
        })
        .await
    }
}

impl StepLedger for DeviceLedger<'_> {
    type Error = SpendError;

    /// The codes of one device are judged one at a time, in fair order by where they came from.
    fn settle(&self, check: CodeCheck) -> LedgerFuture<'_, Result<CodeJudgement, SpendError>> {
        Box::pin(async move {
            match self.principal {
                Principal::Root => self.store.judge_in_turn(check, self.source, self.now).await,
                // Only root's devices are kept, and no other request may move their counters.
                Principal::User(_) => Err(MfaFault::UnknownDevice.into()),
            }
        })
    }
}

impl<T> DeviceChange<T> {
    /// What is to be changed.
    pub fn subject(&self) -> &T {
        match self {
            Self::Proved(proof) => proof.subject(),
            Self::Unproved(subject) => subject,
        }
    }
}

impl StateShared {
    /// Judges by the newest counters, so that two codes cannot both be judged by the same ones.
    async fn judge(&self, check: &CodeCheck, place: &QueuePlace, now: Timestamp) -> Result<CodeJudgement, SpendError> {
        let mut writer = self.writer.lock().await;
        let now = self.time_for_codes(&mut writer, now).await?;
        let mut costly = false;
        let decide = |state: &StateTables| {
            let device = state.known_device(check.serial()).map_err(|_| MfaFault::UnknownDevice)?;
            let judgement = check.judge(device, now);
            costly = judgement.fault().is_some() && free_fault(device, &judgement).is_none();
            if *judgement.counters() == device.counters {
                return Ok(ChangeDecision::Unchanged(judgement));
            }
            // Counters before the verdict is told, or parallel guesses would be free.
            let device = MfaDevice { counters: judgement.counters().clone(), ..device.clone() };
            Ok(ChangeDecision::put(StateRecord::Device(device), judgement))
        };
        // INVARIANT (proof): the judgement is returned only after its counters are durable.
        let judged = writer.change(&self.memory, now, decide).await;
        if costly {
            place.charge(self.clock.expected(now));
        }
        judged
    }

    /// Tells a fault that needs no turn; a wrong clock is told first, as it is to those that have one.
    async fn refuse(&self, fault: MfaFault, now: Timestamp) -> Result<CodeJudgement, SpendError> {
        self.time_for_codes(&mut *self.writer.lock().await, now).await?;
        Err(fault.into())
    }

    async fn time_for_codes(&self, writer: &mut StateWriter, now: Timestamp) -> Result<Timestamp, SpendError> {
        match self.check_clock(writer, now).await {
            Err(StoreError::ClockDisagrees(_)) => Err(MfaFault::ClockDisagrees.into()),
            checked => Ok(checked?),
        }
    }

    fn queue_of(&self, serial: &DeviceSerial) -> CodeQueue {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.entry(serial.clone()).or_default().clone()
    }

    fn forget_queue(&self, serial: &DeviceSerial) {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).remove(serial);
    }
}

impl StateTables {
    fn expect_room_for_device(&self, serial: &DeviceSerial) -> Result<(), StoreError> {
        if self.devices.contains_key(serial) {
            return Err(StoreError::AlreadyExists);
        }
        if self.devices.len() >= MOST_DEVICES {
            return Err(StoreError::LimitReached);
        }
        Ok(())
    }

    /// While no device is active, there is nothing to prove a change by.
    fn expect_proof<T>(&self, change: &DeviceChange<T>) -> Result<(), StoreError> {
        match change {
            DeviceChange::Unproved(_) if self.has_active_device() => Err(StoreError::ProofNeeded),
            DeviceChange::Proved(_) | DeviceChange::Unproved(_) => Ok(()),
        }
    }

    fn guarded_by_only(&self, serial: &DeviceSerial) -> Option<&BucketName> {
        let is_active = |device: &&MfaDevice| match device.status {
            DeviceStatus::Active { .. } => true,
            DeviceStatus::Pending => false,
        };
        let mut active = self.devices.values().filter(is_active).map(|device| &device.serial);
        if active.next() != Some(serial) || active.next().is_some() {
            return None;
        }
        self.buckets.iter().find(|(_, bucket)| bucket.mfa_delete == MfaDelete::Enabled).map(|(name, _)| name)
    }

    fn known_device(&self, serial: &DeviceSerial) -> Result<&MfaDevice, StoreError> {
        self.devices.get(serial).ok_or(StoreError::NoSuchEntity)
    }
}

/// The fault of an offer that leaves the device as it is. It needs no turn: there is nothing to write, and what is asked
/// for at no cost must not fill the queue.
fn free_fault(device: &MfaDevice, judgement: &CodeJudgement) -> Option<MfaFault> {
    judgement.fault().filter(|_| *judgement.counters() == device.counters)
}

fn listed(device: &MfaDevice) -> ListedDevice {
    ListedDevice {
        serial: device.serial.clone(),
        digits: device.digits,
        created: device.created,
        status: device.status,
    }
}
