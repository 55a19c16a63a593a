//! The actions on devices.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::Call;
use super::principals::{page, root};
use super::refused::Refused;
use super::xml::Element;
use portcullis_base::names::{DeviceSerial, InvalidName};
use portcullis_base::secret::Secret;
use portcullis_mfa::{Challenge, Code, DeviceStatus, Digits};
use portcullis_state::{DeviceChange, DeviceDeactivation, DeviceEnabling, ListedDevice, SpendError};

impl Call<'_> {
    pub(super) async fn create_virtual_mfa_device(self) -> Result<Element, Refused> {
        self.only_root_path()?;
        let digits = self.digits()?;
        let serial = self.new_serial()?;
        let made = self.store.create_device(&serial, digits, self.now).await;
        let device = made.map_err(|error| Refused::store(error, &entity(&serial)))?;
        self.facts.answers("virtualMFADevice", json!({ "serialNumber": serial.as_str() }));
        // A blob of the Query protocol is base64, also where it holds a text already.
        let seed = Secret::new(STANDARD.encode(device.base32_seed.expose()));
        Ok(Element::new("Result").child(
            Element::new("VirtualMFADevice")
                .text("SerialNumber", serial.as_str())
                .text("Base32StringSeed", seed.expose())
                // Ours: AWS has the URI only within `QRCodePNG`.
                .text("OtpauthUri", device.otpauth_uri.expose()),
        ))
    }

    /// What is to be enabled; refused before a code is spent for nothing.
    pub(super) fn enabling(&self) -> Result<DeviceEnabling, Refused> {
        self.devices_are_roots()?;
        let serial = self.serial()?;
        let (first, second) = self.consecutive_codes()?;
        match self.device(&serial)?.status {
            DeviceStatus::Active { .. } => Err(Refused::already_enabled()),
            DeviceStatus::Pending => Ok(DeviceEnabling { serial, first, second }),
        }
    }

    pub(super) async fn enable_mfa_device(self, change: DeviceChange<DeviceEnabling>) -> Result<(), Refused> {
        let serial = change.subject().serial.clone();
        let enabled = self.store.enable_device(change, self.now).await;
        enabled.map_err(|error| Refused::store(error, &entity(&serial)))
    }

    pub(super) async fn resync_mfa_device(mut self) -> Result<(), Refused> {
        self.devices_are_roots()?;
        let serial = self.serial()?;
        let (first, second) = self.consecutive_codes()?;
        self.device(&serial)?;
        // Spending the codes is the whole change: the ledger learns the device's drift from them.
        match self.spend(Challenge::resync(serial.clone(), first, second, ())).await {
            Ok(_spent) => Ok(()),
            Err(SpendError::Fault(fault)) => Err(Refused::resync(fault)),
            Err(SpendError::Store(error)) => Err(Refused::store(error, &entity(&serial))),
        }
    }

    /// What is to be deactivated; refused before a code is spent for nothing.
    pub(super) fn deactivation(&self) -> Result<DeviceDeactivation, Refused> {
        self.devices_are_roots()?;
        let serial = self.serial()?;
        match self.device(&serial)?.status {
            DeviceStatus::Active { .. } => Ok(DeviceDeactivation { serial }),
            DeviceStatus::Pending => Err(Refused::no_such(&format!("An active {}", entity(&serial)))),
        }
    }

    pub(super) async fn deactivate_mfa_device(self, change: DeviceChange<DeviceDeactivation>) -> Result<(), Refused> {
        let serial = change.subject().serial.clone();
        let deactivated = self.store.deactivate_device(change, self.now).await;
        deactivated.map_err(|error| Refused::store(error, &entity(&serial)))
    }

    pub(super) async fn delete_virtual_mfa_device(self) -> Result<(), Refused> {
        let serial = self.serial()?;
        let deleted = self.store.delete_device(&serial, self.now).await;
        deleted.map_err(|error| Refused::store(error, &entity(&serial)))
    }

    pub(super) fn list_mfa_devices(self) -> Result<Element, Refused> {
        let devices = match self.named_user()? {
            Some(_) => Vec::new(),
            None => self.store.devices(),
        };
        let active = devices.into_iter().filter_map(|device| enabled(&device).map(|since| (device, since)));
        let page = page(&self.parameters, active, |(device, _)| device.serial.as_str())?;
        Ok(page.element("MFADevices", |(device, since)| {
            Element::new("member").text("SerialNumber", device.serial.as_str()).text("EnableDate", &since)
        }))
    }

    pub(super) fn list_virtual_mfa_devices(self) -> Result<Element, Refused> {
        let wanted: fn(&ListedDevice) -> bool = match self.parameters.optional("AssignmentStatus") {
            None | Some("Any") => |_| true,
            Some("Assigned") => |device| enabled(device).is_some(),
            Some("Unassigned") => |device| enabled(device).is_none(),
            Some(_) => {
                let must = "satisfy enum value set: [Assigned, Any, Unassigned]";
                return Err(Refused::invalid_value("AssignmentStatus", must));
            }
        };
        let devices = self.store.devices().into_iter().filter(wanted);
        let page = page(&self.parameters, devices, |device| device.serial.as_str())?;
        let store = self.store;
        Ok(page.element("VirtualMFADevices", |device| {
            let element = Element::new("member").text("SerialNumber", device.serial.as_str());
            match enabled(&device) {
                Some(since) => element.text("EnableDate", &since).child(root(store)),
                None => element,
            }
        }))
    }

    fn digits(&self) -> Result<Digits, Refused> {
        let Some(text) = self.parameters.optional("Digits") else { return Ok(Digits::Six) };
        let digits = text.parse().ok().and_then(Digits::parse);
        digits.ok_or_else(|| Refused::invalid_value("Digits", "be 6 or 8"))
    }

    fn new_serial(&self) -> Result<DeviceSerial, Refused> {
        const NAME: &str = "VirtualMFADeviceName";
        let name = self.parameters.required(NAME)?;
        // IAM's pattern, which is narrower than that of serials: a colon would end the label of an otpauth URI.
        if name.contains([':', '/']) {
            return Err(Refused::invalid_name(NAME, InvalidName::DeviceSerial));
        }
        DeviceSerial::virtual_device(self.store.account(), name).map_err(|error| Refused::invalid_name(NAME, error))
    }

    fn serial(&self) -> Result<DeviceSerial, Refused> {
        let text = self.parameters.required("SerialNumber")?;
        DeviceSerial::parse(text).map_err(|error| Refused::invalid_name("SerialNumber", error))
    }

    fn consecutive_codes(&self) -> Result<(Code, Code), Refused> {
        let code = |name| self.parameters.required(name).map(Code::new);
        Ok((code("AuthenticationCode1")?, code("AuthenticationCode2")?))
    }

    fn device(&self, serial: &DeviceSerial) -> Result<ListedDevice, Refused> {
        self.store.device(serial).ok_or_else(|| Refused::no_such(&entity(serial)))
    }

    fn devices_are_roots(&self) -> Result<(), Refused> {
        match self.named_user()? {
            Some(_) => Err(Refused::users_have_no_devices()),
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
