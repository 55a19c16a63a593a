//! `portcullis mfa`: root's MFA devices.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::admin::{AdminClient, AdminRequest};
use super::devices::{self, RootDevice};
use super::error::CommandError;
use super::place::quoted;
use super::private_file;
use super::qr::QrSymbol;
use super::second_factor::{MfaTokenSource, TokenTiming};
use super::table::{RowTone, TableHead, TextTable};
use super::terminal::{OutputFormat, Terminal};
use super::{code_word, mfa_value};
use portcullis_base::secret::Secret;

/// What to do with root's MFA devices.
#[derive(Subcommand)]
pub enum MfaCommand {
    /// Let a device's codes count, by two that follow one another
    Activate(ActivateArgs),
    /// Create a device, show its seed once, and activate it
    Add(AddArgs),
    /// List the devices
    List,
    /// Take a device away
    Remove(RemoveArgs),
    /// Tell the gate how far a device's clock is off, by two codes that follow one another
    Resync(ResyncArgs),
}

#[derive(Args)]
pub struct AddArgs {
    /// The device's name
    #[arg(long)]
    name: String,
    /// Leave it inactive; `portcullis mfa activate` activates it later
    #[arg(long)]
    no_activate: bool,
    /// Write the QR code to this file as well, as PNG
    #[arg(long, value_name = "FILE.png")]
    qr: Option<PathBuf>,
    /// A code of an active device, where there is one
    #[arg(long, value_name = "SERIAL CODE", value_parser = mfa_value)]
    mfa: Option<Secret<String>>,
}

#[derive(Args)]
pub struct ActivateArgs {
    #[command(flatten)]
    device: WhichDevice,
    /// Two codes that follow one another; asked for where they are left out
    #[arg(value_name = "CODE", num_args = 2, value_parser = code_word)]
    codes: Vec<Secret<String>>,
    /// A code of an active device, where there is one
    #[arg(long, value_name = "SERIAL CODE", value_parser = mfa_value)]
    mfa: Option<Secret<String>>,
}

#[derive(Args)]
pub struct RemoveArgs {
    #[command(flatten)]
    device: WhichDevice,
    /// A code of an active device
    #[arg(long, value_name = "SERIAL CODE", value_parser = mfa_value)]
    mfa: Option<Secret<String>>,
}

#[derive(Args)]
pub struct ResyncArgs {
    #[command(flatten)]
    device: WhichDevice,
    /// Two codes that follow one another; asked for where they are left out
    #[arg(value_name = "CODE", num_args = 2, value_parser = code_word)]
    codes: Vec<Secret<String>>,
}

/// Which device is meant.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct WhichDevice {
    /// Its serial number
    #[arg(long)]
    serial: Option<String>,
    /// Its name
    #[arg(long)]
    name: Option<String>,
}

/// A device that was just created: its seed is never shown again.
struct DeviceEnrolment {
    serial: String,
    seed: Secret<String>,
    uri: Secret<String>,
}

/// Runs one of them.
pub async fn run(command: MfaCommand, admin: &AdminClient, terminal: &mut Terminal) -> Result<(), CommandError> {
    match command {
        MfaCommand::Activate(args) => activate(args, admin, terminal).await,
        MfaCommand::Add(args) => add(args, admin, terminal).await,
        MfaCommand::List => list(admin, terminal).await,
        MfaCommand::Remove(args) => remove(args, admin, terminal).await,
        MfaCommand::Resync(args) => resync(args, admin, terminal).await,
    }
}

async fn add(args: AddArgs, admin: &AdminClient, terminal: &mut Terminal) -> Result<(), CommandError> {
    if args.no_activate && args.mfa.is_some() {
        // A code stands for one act, and is over in half a minute.
        return Err(CommandError::usage("--mfa has no use with --no-activate: the code is asked for on activation")
            .next("Give it there: portcullis mfa activate --mfa \"SERIAL CODE\" ..."));
    }
    let mut factor = MfaTokenSource::offered(args.mfa)?;
    if let Some(path) = args.qr.as_deref().filter(|path| path.exists()) {
        // Found out only after the device is made, its one picture would be lost.
        return Err(CommandError::usage(format!("{} is there already; name a new file", path.display())));
    }
    let question = AdminRequest::new("CreateVirtualMFADevice").with("VirtualMFADeviceName", &args.name);
    let result = factor.ask(admin, &question, TokenTiming::WhenWanted, terminal).await?;
    let enrolment = DeviceEnrolment::read(&result)
        .ok_or_else(|| CommandError::failed("the gate's answer lacks the device's serial number or seed"))?;
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
        error.clone().next(format!("{next}The device is there but not active yet; go on with: {retry}"))
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
        OutputFormat::People => terminal.print(&format!("{serial} is in step again; use the next code it shows.")),
    }
}

async fn remove(args: RemoveArgs, admin: &AdminClient, terminal: &mut Terminal) -> Result<(), CommandError> {
    let mut factor = MfaTokenSource::offered(args.mfa)?;
    let listed = devices::list(admin).await.map_err(|error| error.into_command_error(admin.place()))?;
    let serial = args.device.serial(admin).await?;
    // A device that is not listed is asked for all the same, so that the gate says what is wrong.
    let active = listed.iter().find(|device| device.serial == serial).is_none_or(RootDevice::is_active);
    if active {
        let question = AdminRequest::new("DeactivateMFADevice").with("SerialNumber", &serial);
        factor.ask(admin, &question, TokenTiming::AtOnce, terminal).await?;
    }
    let question = AdminRequest::new("DeleteVirtualMFADevice").with("SerialNumber", &serial);
    factor.ask(admin, &question, TokenTiming::WhenWanted, terminal).await?;
    match terminal.format() {
        OutputFormat::Json => terminal.print_json(&json!({ "serialNumber": serial, "removed": true })),
        OutputFormat::People => terminal.print(&format!("{serial} is gone; its codes count no more.")),
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
                "{}\nScan this with an authenticator app, or type the seed into it. It is shown this once only.\n\n  \
                 device  {name}\n  serial  {}\n  seed    {}\n  uri     {}\n",
                qr.half_blocks(),
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
            .next("The device is there all the same; its seed is printed above.")
    };
    private_file::create(path, &png).map_err(unwritten)?;
    terminal.note(&format!("QR code written to {}; delete it once it is scanned.", path.display()))
}

fn activated(serial: &str) -> String {
    format!(
        "{serial} is active.\nThe two codes you typed are spent: the next code to use is the next one the device shows."
    )
}

fn two_codes(given: Vec<Secret<String>>, terminal: &mut Terminal) -> Result<[Secret<String>; 2], CommandError> {
    if let Ok(codes) = <[Secret<String>; 2]>::try_from(given) {
        return Ok(codes);
    }
    let missing = || CommandError::usage("two codes that follow one another are needed");
    let first = terminal.ask("First code: ")?.ok_or_else(missing)?;
    // Both on one line will do.
    if let Some((first, second)) = first.expose().split_once(char::is_whitespace) {
        return Ok([Secret::new(first.to_owned()), Secret::new(second.trim().to_owned())]);
    }
    let second = terminal.ask("The code after it (wait until it changes): ")?.ok_or_else(missing)?;
    Ok([first, second])
}

impl DeviceEnrolment {
    fn read(result: &portcullis_xml::XmlElement) -> Option<Self> {
        let device = result.child("VirtualMFADevice")?;
        // A blob travels as base64, here of what is base32 already.
        let seed = STANDARD.decode(device.filled_text_of("Base32StringSeed")?).ok()?;
        Some(Self {
            serial: device.filled_text_of("SerialNumber")?.to_owned(),
            seed: Secret::new(String::from_utf8(seed).ok()?),
            uri: Secret::new(device.filled_text_of("OtpauthUri")?.to_owned()),
        })
    }
}

impl WhichDevice {
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
