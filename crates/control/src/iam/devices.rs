//! The actions on devices.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::action::{AssignmentStatus, PageRequest};
use super::answer::AnswerContent;
use super::page::page;
use super::perform::ActionPerformance;
use super::refused::{IamError, device_entity};
use super::xml::ElementWriter;
use portcullis_base::names::DeviceSerial;
use portcullis_base::secret::Secret;
use portcullis_mfa::{CodeDigits, DeviceStatus, QrSymbol};
use portcullis_sigv4::Principal;
use portcullis_state::{DeviceChange, DeviceDeactivation, DeviceEnabling, ListedDevice};

impl ActionPerformance<'_> {
    pub(super) async fn create_device(
        self,
        serial: &DeviceSerial,
        digits: CodeDigits,
    ) -> Result<AnswerContent, IamError> {
        let made = self.state.create_device(serial, digits, self.now).await;
        let device = made.map_err(|error| IamError::store(error, &device_entity(serial)))?;
        let picture = QrSymbol::of(device.otpauth_uri.expose()).and_then(|qr| qr.png());
        let picture = picture.map_err(|_| IamError::internal())?;
        // A blob of the Query protocol is base64, also where it holds a text already.
        let seed = Secret::new(STANDARD.encode(device.base32_seed.expose()));
        let picture = Secret::new(STANDARD.encode(picture.expose()));
        let result = ElementWriter::new("Result").child(
            ElementWriter::new("VirtualMFADevice")
                .text("SerialNumber", serial.as_str())
                .text("Base32StringSeed", seed.expose())
                .text("QRCodePNG", picture.expose())
                // Ours: AWS has the URI only within the picture.
                .text("OtpauthUri", device.otpauth_uri.expose()),
        );
        Ok(AnswerContent::recorded(result, "virtualMFADevice", json!({ "serialNumber": serial.as_str() })))
    }

    pub(super) async fn enable_device(self, change: DeviceChange<DeviceEnabling>) -> Result<AnswerContent, IamError> {
        let entity = device_entity(&change.subject().serial);
        let enabled = self.state.enable_device(change, self.now).await;
        enabled.map(|()| AnswerContent::default()).map_err(|error| IamError::store(error, &entity))
    }

    pub(super) async fn deactivate_device(
        self,
        change: DeviceChange<DeviceDeactivation>,
    ) -> Result<AnswerContent, IamError> {
        let entity = device_entity(&change.subject().serial);
        let deactivated = self.state.deactivate_device(change, self.now).await;
        deactivated.map(|()| AnswerContent::default()).map_err(|error| IamError::store(error, &entity))
    }

    pub(super) async fn delete_device(self, serial: &DeviceSerial) -> Result<AnswerContent, IamError> {
        let deleted = self.state.delete_device(serial, self.now).await;
        deleted.map(|()| AnswerContent::default()).map_err(|error| IamError::store(error, &device_entity(serial)))
    }

    /// The active devices of a principal; only root has any.
    pub(super) fn mfa_devices(self, holder: &Principal, wanted: &PageRequest) -> ElementWriter {
        let devices = match holder {
            Principal::User(_) => Vec::new(),
            Principal::Root => self.state.devices(),
        };
        let active = devices.into_iter().filter_map(|device| enabled(&device).map(|since| (device, since)));
        page(wanted, active, |(device, _)| device.serial.as_str()).element("MFADevices", |(device, since)| {
            ElementWriter::new("member").text("SerialNumber", device.serial.as_str()).text("EnableDate", &since)
        })
    }

    pub(super) fn virtual_mfa_devices(self, assignment: AssignmentStatus, wanted: &PageRequest) -> ElementWriter {
        let devices = self.state.devices().into_iter().filter(|device| match assignment {
            AssignmentStatus::Any => true,
            AssignmentStatus::Assigned => enabled(device).is_some(),
            AssignmentStatus::Unassigned => enabled(device).is_none(),
        });
        page(wanted, devices, |device| device.serial.as_str()).element("VirtualMFADevices", |device| {
            let element = ElementWriter::new("member").text("SerialNumber", device.serial.as_str());
            match enabled(&device) {
                Some(since) => element.text("EnableDate", &since).child(self.root()),
                None => element,
            }
        })
    }
}

pub(super) fn enabled(device: &ListedDevice) -> Option<String> {
    match device.status {
        DeviceStatus::Active { since } => Some(since.iso_extended()),
        DeviceStatus::Pending => None,
    }
}
