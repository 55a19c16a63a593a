//! `portcullis mfa`: root's MFA devices.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::admin::{AdminClient, AdminRequest};
use super::devices::{self, RootDevice};
use super::error::CommandError;
use super::private_file;
use super::qr::half_blocks;
use super::second_factor::{MfaTokenSource, TokenTiming};
use super::state_directory::quoted;
use super::table::{RowTone, TableHead, TextTable};
use super::terminal::{OutputFormat, Terminal};
use super::{code_word, mfa_value};
use portcullis_base::secret::Secret;
use portcullis_mfa::QrSymbol;

/// The subcommands of `mfa`.
#[derive(Subcommand)]
pub(super) enum MfaCommand {
    /// Activate a device with two consecutive codes
    Activate(ActivateArgs),
    /// Create a device, show its seed once and activate it
    #[command(after_help = ADD_EXAMPLES)]
    Add(AddArgs),
    /// List devices
    List,
    /// Remove a device
    Remove(RemoveArgs),
    /// Resynchronize a device whose clock is off, with two consecutive codes
    Resync(ResyncArgs),
}

#[derive(Args)]
pub(super) struct AddArgs {
    /// The device's name
    #[arg(long)]
    name: String,
    /// Do not activate the device; `portcullis mfa activate` does it later
    #[arg(long)]
    no_activate: bool,
    /// Also write the QR code to this PNG file
    #[arg(long, value_name = "FILE.png")]
    qr: Option<PathBuf>,
    /// An MFA code of an active device, if there is one
    #[arg(long, value_name = "SERIAL CODE", value_parser = mfa_value)]
    mfa: Option<Secret<String>>,
}

#[derive(Args)]
pub(super) struct ActivateArgs {
    #[command(flatten)]
    device: DeviceChoice,
    /// Two consecutive codes; prompted for if left out
    #[arg(value_name = "CODE", num_args = 2, value_parser = code_word)]
    codes: Vec<Secret<String>>,
    /// An MFA code of an active device, if there is one
    #[arg(long, value_name = "SERIAL CODE", value_parser = mfa_value)]
    mfa: Option<Secret<String>>,
}

#[derive(Args)]
pub(super) struct RemoveArgs {
    #[command(flatten)]
    device: DeviceChoice,
    /// An MFA code of an active device; prompted for if left out
    #[arg(long, value_name = "SERIAL CODE", value_parser = mfa_value)]
    mfa: Option<Secret<String>>,
}

#[derive(Args)]
pub(super) struct ResyncArgs {
    #[command(flatten)]
    device: DeviceChoice,
    /// Two consecutive codes; prompted for if left out
    #[arg(value_name = "CODE", num_args = 2, value_parser = code_word)]
    codes: Vec<Secret<String>>,
}

/// The device, by serial number or name.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(super) struct DeviceChoice {
    /// The device's serial number
    #[arg(long)]
    serial: Option<String>,
    /// The device's name
    #[arg(long)]
    name: Option<String>,
}

/// A new device; its seed is shown only now.
struct DeviceEnrolment {
    serial: String,
    seed: Secret<String>,
    uri: Secret<String>,
}

const ADD_EXAMPLES: &str = "\
Examples:
  portcullis mfa add --name phone
  portcullis mfa add --name phone --qr phone.png
  portcullis mfa add --name spare --mfa \"arn:aws:iam::ACCOUNT:mfa/phone 123456\"";

/// Runs the subcommand.
pub(super) async fn run(command: MfaCommand, admin: &AdminClient, terminal: &mut Terminal) -> Result<(), CommandError> {
    match command {
        MfaCommand::Activate(args) => activate(args, admin, terminal).await,
        MfaCommand::Add(args) => add(args, admin, terminal).await,
        MfaCommand::List => list(admin, terminal).await,
        MfaCommand::Remove(args) => remove(args, admin, terminal).await,
        MfaCommand::Resync(args) => resync(args, admin, terminal).await,
    }
}

async fn add(args: AddArgs, admin: &AdminClient, terminal: &mut Terminal) -> Result<(), CommandError> {
    let mut factor = MfaTokenSource::offered(args.mfa)?;
    if let Some(path) = args.qr.as_deref().filter(|path| path.exists()) {
        // After the device is created its QR code cannot be shown again.
        return Err(CommandError::usage(format!("{} already exists; choose a new file", path.display())));
    }
    let question = AdminRequest::new("CreateVirtualMFADevice").with("VirtualMFADeviceName", &args.name);
    let result = factor.ask(admin, &question, TokenTiming::WhenWanted, terminal).await?;
    let enrolment = DeviceEnrolment::read(&result)
        .ok_or_else(|| CommandError::failed("the answer lacks the device's serial number or seed"))?;
    show(&enrolment, &args.name, terminal)?;
    if let Some(path) = &args.qr {
        write_qr(&enrolment, path, terminal)?;
    }
    if args.no_activate {
        return Ok(());
    }
    let enabled = enable(&enrolment.serial, Vec::new(), &mut factor, admin, terminal).await;
    enabled.map_err(|error| {
        let retry = format!("portcullis mfa activate --serial {}{}", quoted(&enrolment.serial), admin.place().flag());
        let next = error.next.as_deref().map(|next| format!("{next}\n")).unwrap_or_default();
        error.clone().next(format!("{next}The device was created but is not active yet. Continue with: {retry}"))
    })?;
    match terminal.format() {
        OutputFormat::Json => Ok(()),
        OutputFormat::People => terminal.print(&activated(&enrolment.serial)),
    }
}

async fn activate(args: ActivateArgs, admin: &AdminClient, terminal: &mut Terminal) -> Result<(), CommandError> {
    let mut factor = MfaTokenSource::offered(args.mfa)?;
    let serial = args.device.serial(admin).await?;
    enable(&serial, args.codes, &mut factor, admin, terminal).await?;
    match terminal.format() {
        OutputFormat::Json => terminal.print_json(&json!({ "serialNumber": serial, "active": true })),
        OutputFormat::People => terminal.print(&activated(&serial)),
    }
}

async fn enable(
    serial: &str,
    codes: Vec<Secret<String>>,
    factor: &mut MfaTokenSource,
    admin: &AdminClient,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let [first, second] = two_codes(codes, terminal)?;
    let question = AdminRequest::new("EnableMFADevice")
        .with("SerialNumber", serial)
        .with("AuthenticationCode1", first.expose())
        .with("AuthenticationCode2", second.expose());
    factor.ask(admin, &question, TokenTiming::AtOnce, terminal).await.map(drop)
}

async fn resync(args: ResyncArgs, admin: &AdminClient, terminal: &mut Terminal) -> Result<(), CommandError> {
    let serial = args.device.serial(admin).await?;
    let [first, second] = two_codes(args.codes, terminal)?;
    let question = AdminRequest::new("ResyncMFADevice")
        .with("SerialNumber", &serial)
        .with("AuthenticationCode1", first.expose())
        .with("AuthenticationCode2", second.expose());
    admin.ask(&question).await.map_err(|error| error.into_command_error(admin.place()))?;
    match terminal.format() {
        OutputFormat::Json => terminal.print_json(&json!({ "serialNumber": serial, "resynced": true })),
        OutputFormat::People => terminal.print(&format!("{serial} is synchronized; use the next code it shows.")),
    }
}

async fn remove(args: RemoveArgs, admin: &AdminClient, terminal: &mut Terminal) -> Result<(), CommandError> {
    let mut factor = MfaTokenSource::offered(args.mfa)?;
    let listed = devices::list(admin).await.map_err(|error| error.into_command_error(admin.place()))?;
    let serial = args.device.serial(admin).await?;
    // A device that is not listed is sent all the same, so that the answer says what is wrong.
    let active = listed.iter().find(|device| device.serial == serial).is_none_or(RootDevice::is_active);
    if active {
        let question = AdminRequest::new("DeactivateMFADevice").with("SerialNumber", &serial);
        factor.ask(admin, &question, TokenTiming::AtOnce, terminal).await?;
    }
    let question = AdminRequest::new("DeleteVirtualMFADevice").with("SerialNumber", &serial);
    factor.ask(admin, &question, TokenTiming::WhenWanted, terminal).await?;
    match terminal.format() {
        OutputFormat::Json => terminal.print_json(&json!({ "serialNumber": serial, "removed": true })),
        OutputFormat::People => terminal.print(&format!("Removed {serial}; its codes are no longer accepted.")),
    }
}

async fn list(admin: &AdminClient, terminal: &mut Terminal) -> Result<(), CommandError> {
    let devices = devices::list(admin).await.map_err(|error| error.into_command_error(admin.place()))?;
    match terminal.format() {
        OutputFormat::Json => terminal.print_json(&Value::Array(devices.iter().map(as_json).collect())),
        OutputFormat::People if devices.is_empty() => terminal.print(&format!(
            "root has no MFA device; add one: portcullis mfa add --name phone{}",
            admin.place().flag()
        )),
        OutputFormat::People => terminal.print(&table(&devices).render(TableHead::Shown, terminal.colour())),
    }
}

fn as_json(device: &RootDevice) -> Value {
    json!({
        "serialNumber": device.serial,
        "name": device.name(),
        "active": device.is_active(),
        "enableDate": device.enabled,
    })
}

fn table(devices: &[RootDevice]) -> TextTable {
    let mut table = TextTable::new(&["NAME", "STATE", "SINCE", "SERIAL NUMBER"]);
    for device in devices {
        let (tone, state) = if device.is_active() { (RowTone::Good, "active") } else { (RowTone::Faint, "inactive") };
        let since = device.enabled.clone().unwrap_or_else(|| "-".to_owned());
        table.row(tone, [device.name().to_owned(), state.to_owned(), since, device.serial.clone()]);
    }
    table
}

fn show(enrolment: &DeviceEnrolment, name: &str, terminal: &mut Terminal) -> Result<(), CommandError> {
    match terminal.format() {
        OutputFormat::Json => terminal.print_json(&json!({
            "serialNumber": enrolment.serial,
            "base32Seed": enrolment.seed.expose(),
            "otpauthUri": enrolment.uri.expose(),
        })),
        OutputFormat::People => {
            let qr = QrSymbol::of(enrolment.uri.expose()).map_err(CommandError::failed)?;
            terminal.print(&format!(
                "{}\nScan this with an authenticator app, or type in the seed. It is shown only once.\n\n  \
                 device  {name}\n  serial  {}\n  seed    {}\n  uri     {}\n",
                half_blocks(&qr),
                enrolment.serial,
                enrolment.seed.expose(),
                enrolment.uri.expose(),
            ))
        }
    }
}

fn write_qr(enrolment: &DeviceEnrolment, path: &Path, terminal: &mut Terminal) -> Result<(), CommandError> {
    let png = QrSymbol::of(enrolment.uri.expose()).and_then(|qr| qr.png()).map_err(CommandError::failed)?;
    let unwritten = |error| {
        CommandError::failed(format!("the QR code cannot be written to {}: {error}", path.display()))
            .next("The device was created; its seed is printed above.")
    };
    private_file::create(path, png.expose()).map_err(unwritten)?;
    terminal.note(&format!("QR code written to {}; delete it once it is scanned.", path.display()))
}

fn activated(serial: &str) -> String {
    format!(
        "{serial} is active.\nThe two codes you entered are used; the next code the device shows is the first one to use."
    )
}

fn two_codes(given: Vec<Secret<String>>, terminal: &mut Terminal) -> Result<[Secret<String>; 2], CommandError> {
    if let Ok(codes) = <[Secret<String>; 2]>::try_from(given) {
        return Ok(codes);
    }
    let missing = || CommandError::usage("two consecutive codes are needed");
    let first = terminal.ask("First code: ")?.ok_or_else(missing)?;
    // Both codes may be on one line.
    if let Some((first, second)) = first.expose().split_once(char::is_whitespace) {
        return Ok([Secret::new(first.to_owned()), Secret::new(second.trim().to_owned())]);
    }
    let second = terminal.ask("Next code (wait until it changes): ")?.ok_or_else(missing)?;
    Ok([first, second])
}

impl DeviceEnrolment {
    fn read(result: &portcullis_xml::XmlElement) -> Option<Self> {
        let device = result.child("VirtualMFADevice")?;
        // The Query API encodes a blob as base64; this one is base32 text.
        let seed = STANDARD.decode(device.filled_text_of("Base32StringSeed")?).ok()?;
        Some(Self {
            serial: device.filled_text_of("SerialNumber")?.to_owned(),
            seed: Secret::new(String::from_utf8(seed).ok()?),
            uri: Secret::new(device.filled_text_of("OtpauthUri")?.to_owned()),
        })
    }
}

impl DeviceChoice {
    async fn serial(&self, admin: &AdminClient) -> Result<String, CommandError> {
        if let Some(serial) = &self.serial {
            return Ok(serial.clone());
        }
        let name = self.name.as_deref().unwrap_or_default();
        let devices = devices::list(admin).await.map_err(|error| error.into_command_error(admin.place()))?;
        let found = devices.into_iter().find(|device| device.name() == name).map(|device| device.serial);
        found.ok_or_else(|| {
            CommandError::failed(format!("there is no MFA device `{name}`"))
                .next(format!("portcullis mfa list{} shows them", admin.place().flag()))
        })
    }
}

#[cfg(test)]
mod tests;
