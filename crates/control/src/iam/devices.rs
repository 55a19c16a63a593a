//! The actions on devices.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::IamCall;
use super::principals::{page, root};
use super::refused::IamError;
use super::xml::ElementWriter;
use portcullis_base::names::{DeviceSerial, InvalidName};
use portcullis_base::secret::Secret;
use portcullis_mfa::{Challenge, CodeDigits, DeviceStatus, TokenCode};
use portcullis_state::{DeviceChange, DeviceDeactivation, DeviceEnabling, ListedDevice, SpendError};

impl IamCall<'_> {
    pub(super) async fn create_virtual_mfa_device(self) -> Result<ElementWriter, IamError> {
        self.only_root_path()?;
        let digits = self.digits()?;
        let serial = self.new_serial()?;
        let made = self.store.create_device(&serial, digits, self.now).await;
        let device = made.map_err(|error| IamError::store(error, &entity(&serial)))?;
        self.facts.answers("virtualMFADevice", json!({ "serialNumber": serial.as_str() }));
        // A blob of the Query protocol is base64, also where it holds a text already.
        let seed = Secret::new(STANDARD.encode(device.base32_seed.expose()));
        Ok(ElementWriter::new("Result").child(
            ElementWriter::new("VirtualMFADevice")
                .text("SerialNumber", serial.as_str())
                .text("Base32StringSeed", seed.expose())
                // Ours: AWS has the URI only within `QRCodePNG`.
                .text("OtpauthUri", device.otpauth_uri.expose()),
        ))
    }

    /// What is to be enabled; refused before a code is spent for nothing.
    pub(super) fn enabling(&self) -> Result<DeviceEnabling, IamError> {
        self.devices_are_roots()?;
        let serial = self.serial()?;
        let (first, second) = self.consecutive_codes()?;
        match self.device(&serial)?.status {
            DeviceStatus::Active { .. } => Err(IamError::already_enabled()),
            DeviceStatus::Pending => Ok(DeviceEnabling { serial, first, second }),
        }
    }

    pub(super) async fn enable_mfa_device(self, change: DeviceChange<DeviceEnabling>) -> Result<(), IamError> {
        let serial = change.subject().serial.clone();
        let enabled = self.store.enable_device(change, self.now).await;
        enabled.map_err(|error| IamError::store(error, &entity(&serial)))
    }

    pub(super) async fn resync_mfa_device(mut self) -> Result<(), IamError> {
        self.devices_are_roots()?;
        let serial = self.serial()?;
        let (first, second) = self.consecutive_codes()?;
        self.device(&serial)?;
        // Spending the codes is the whole change: the ledger learns the device's drift from them.
        match self.spend(Challenge::resync(serial.clone(), first, second, ())).await {
            Ok(_spent) => Ok(()),
            Err(SpendError::Fault(fault)) => Err(IamError::resync(fault)),
            Err(SpendError::Store(error)) => Err(IamError::store(error, &entity(&serial))),
        }
    }

    /// What is to be deactivated; refused before a code is spent for nothing.
    pub(super) fn deactivation(&self) -> Result<DeviceDeactivation, IamError> {
        self.devices_are_roots()?;
        let serial = self.serial()?;
        match self.device(&serial)?.status {
            DeviceStatus::Active { .. } => Ok(DeviceDeactivation { serial }),
            DeviceStatus::Pending => Err(IamError::no_such(&format!("An active {}", entity(&serial)))),
        }
    }

    pub(super) async fn deactivate_mfa_device(self, change: DeviceChange<DeviceDeactivation>) -> Result<(), IamError> {
        let serial = change.subject().serial.clone();
        let deactivated = self.store.deactivate_device(change, self.now).await;
        deactivated.map_err(|error| IamError::store(error, &entity(&serial)))
    }

    pub(super) async fn delete_virtual_mfa_device(self) -> Result<(), IamError> {
        let serial = self.serial()?;
        let deleted = self.store.delete_device(&serial, self.now).await;
        deleted.map_err(|error| IamError::store(error, &entity(&serial)))
    }

    pub(super) fn list_mfa_devices(self) -> Result<ElementWriter, IamError> {
        let devices = match self.named_user()? {
            Some(_) => Vec::new(),
            None => self.store.devices(),
        };
        let active = devices.into_iter().filter_map(|device| enabled(&device).map(|since| (device, since)));
        let page = page(&self.parameters, active, |(device, _)| device.serial.as_str())?;
        Ok(page.element("MFADevices", |(device, since)| {
            ElementWriter::new("member").text("SerialNumber", device.serial.as_str()).text("EnableDate", &since)
        }))
    }

    pub(super) fn list_virtual_mfa_devices(self) -> Result<ElementWriter, IamError> {
        let wanted: fn(&ListedDevice) -> bool = match self.parameters.optional("AssignmentStatus") {
            None | Some("Any") => |_| true,
            Some("Assigned") => |device| enabled(device).is_some(),
            Some("Unassigned") => |device| enabled(device).is_none(),
            Some(_) => {
                let must = "satisfy enum value set: [Assigned, Any, Unassigned]";
                return Err(IamError::invalid_value("AssignmentStatus", must));
            }
        };
        let devices = self.store.devices().into_iter().filter(wanted);
        let page = page(&self.parameters, devices, |device| device.serial.as_str())?;
        let store = self.store;
        Ok(page.element("VirtualMFADevices", |device| {
            let element = ElementWriter::new("member").text("SerialNumber", device.serial.as_str());
            match enabled(&device) {
                Some(since) => element.text("EnableDate", &since).child(root(store)),
                None => element,
            }
        }))
    }

    fn digits(&self) -> Result<CodeDigits, IamError> {
        let Some(text) = self.parameters.optional("Digits") else { return Ok(CodeDigits::Six) };
        let digits = text.parse().ok().and_then(CodeDigits::parse);
        digits.ok_or_else(|| IamError::invalid_value("Digits", "be 6 or 8"))
    }

    fn new_serial(&self) -> Result<DeviceSerial, IamError> {
        const NAME: &str = "VirtualMFADeviceName";
        let name = self.parameters.required(NAME)?;
        // IAM's pattern, which is narrower than that of serials: a colon would end the label of an otpauth URI.
        if name.contains([':', '/']) {
            return Err(IamError::invalid_name(NAME, InvalidName::DeviceSerial));
        }
        DeviceSerial::virtual_device(self.store.account(), name).map_err(|error| IamError::invalid_name(NAME, error))
    }

    fn serial(&self) -> Result<DeviceSerial, IamError> {
        let text = self.parameters.required("SerialNumber")?;
        DeviceSerial::parse(text).map_err(|error| IamError::invalid_name("SerialNumber", error))
    }

    fn consecutive_codes(&self) -> Result<(TokenCode, TokenCode), IamError> {
        let code = |name| self.parameters.required(name).map(TokenCode::new);
        Ok((code("AuthenticationCode1")?, code("AuthenticationCode2")?))
    }

    fn device(&self, serial: &DeviceSerial) -> Result<ListedDevice, IamError> {
        self.store.device(serial).ok_or_else(|| IamError::no_such(&entity(serial)))
    }

    fn devices_are_roots(&self) -> Result<(), IamError> {
        match self.named_user()? {
            Some(_) => Err(IamError::users_have_no_devices()),
            None => Ok(()),
        }
    }
}

fn enabled(device: &ListedDevice) -> Option<String> {
    match device.status {
        DeviceStatus::Active { since } => Some(since.iso_extended()),
        DeviceStatus::Pending => None,
    }
}

fn entity(serial: &DeviceSerial) -> String {
    format!("MFA device with serial number {serial}")
}
