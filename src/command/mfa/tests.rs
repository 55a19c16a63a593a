use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::command::fake_proxy::{FakeProxy, Seen, iam_error};
use crate::command::terminal::kept::{Kept, terminal};
use portcullis_mfa::MfaDemand;

const SERIAL: &str = "arn:aws:iam::123456789012:mfa/phone";

fn created() -> String {
    let seed = STANDARD.encode("JBSWY3DPEHPK3PXP");
    format!(
        "<CreateVirtualMFADeviceResponse><CreateVirtualMFADeviceResult><VirtualMFADevice>\
         <SerialNumber>{SERIAL}</SerialNumber><Base32StringSeed>{seed}</Base32StringSeed>\
         <OtpauthUri>otpauth://totp/Portcullis:phone?secret=JBSWY3DPEHPK3PXP&amp;issuer=Portcullis</OtpauthUri>\
         </VirtualMFADevice></CreateVirtualMFADeviceResult></CreateVirtualMFADeviceResponse>"
    )
}

fn listed(date: &str) -> String {
    format!(
        "<ListVirtualMFADevicesResponse><ListVirtualMFADevicesResult><VirtualMFADevices><member>\
         <SerialNumber>{SERIAL}</SerialNumber>{date}</member></VirtualMFADevices><IsTruncated>false</IsTruncated>\
         </ListVirtualMFADevicesResult></ListVirtualMFADevicesResponse>"
    )
}

const SINCE: &str = "<EnableDate>2026-11-21T09:41:58Z</EnableDate>";

fn willing(seen: &Seen) -> (u16, String) {
    if seen.asks("CreateVirtualMFADevice") {
        (200, created())
    } else if seen.asks("ListVirtualMFADevices") {
        (200, listed(SINCE))
    } else {
        (200, "<Response/>".to_owned())
    }
}

/// Wants a code for all but listing and creating.
fn wary(seen: &Seen) -> (u16, MfaDemand, String) {
    if seen.mfa.is_none() && !seen.asks("ListVirtualMFADevices") && !seen.asks("CreateVirtualMFADevice") {
        return (403, MfaDemand::Required, iam_error("AccessDenied", "a text that no program reads"));
    }
    let (status, document) = willing(seen);
    (status, MfaDemand::None, document)
}

fn named(name: &str) -> AddArgs {
    AddArgs { name: name.to_owned(), no_activate: false, qr: None, mfa: None }
}

fn by_serial() -> DeviceChoice {
    DeviceChoice { serial: Some(SERIAL.to_owned()), name: None }
}

async fn run_on(
    proxy: &FakeProxy,
    command: MfaCommand,
    format: OutputFormat,
    answers: &[&str],
) -> (Result<(), CommandError>, Kept) {
    let (mut terminal, kept) = terminal(format, answers);
    (run(command, &AdminClient::of(proxy.place()), &mut terminal).await, kept)
}

#[tokio::test]
async fn adding_shows_the_seed_and_activates_with_two_codes() {
    let proxy = FakeProxy::start(willing);
    let (outcome, kept) =
        run_on(&proxy, MfaCommand::Add(named("phone")), OutputFormat::People, &["111111", "222222"]).await;
    assert_eq!(outcome, Ok(()));
    assert_eq!(proxy.actions(), ["CreateVirtualMFADevice", "EnableMFADevice"]);
    assert!(proxy.seen()[1].form.ends_with("&AuthenticationCode1=111111&AuthenticationCode2=222222"));
    let text = kept.text();
    assert!(text.contains("  seed    JBSWY3DPEHPK3PXP\n"), "{text}");
    assert!(text.contains("otpauth://totp/Portcullis:phone?secret=JBSWY3DPEHPK3PXP&issuer=Portcullis"));
    assert!(text.contains("████ ▄▄▄▄▄ "));
    assert!(text.contains("the next code the device shows is the first one to use"));
    assert!(!text.contains("111111"));
}

#[tokio::test]
async fn without_activation_a_program_gets_the_seed_and_nothing_is_asked() {
    let proxy = FakeProxy::start(willing);
    let args = AddArgs { no_activate: true, ..named("phone") };
    let (outcome, kept) = run_on(&proxy, MfaCommand::Add(args), OutputFormat::Json, &[]).await;
    assert_eq!(outcome, Ok(()));
    assert_eq!(proxy.actions(), ["CreateVirtualMFADevice"]);
    assert_eq!(
        kept.text(),
        format!(
            "{{\"serialNumber\":\"{SERIAL}\",\"base32Seed\":\"JBSWY3DPEHPK3PXP\",\
             \"otpauthUri\":\"otpauth://totp/Portcullis:phone?secret=JBSWY3DPEHPK3PXP&issuer=Portcullis\"}}\n"
        )
    );
}

#[tokio::test]
async fn a_given_code_is_not_spent_on_what_needs_none() {
    let proxy = FakeProxy::demanding(wary);
    let mfa = Some(Secret::new(format!("{SERIAL} 333333")));
    let args = AddArgs { mfa, ..named("second") };
    let (outcome, _) = run_on(&proxy, MfaCommand::Add(args), OutputFormat::People, &["111111 222222"]).await;
    assert_eq!(outcome, Ok(()));
    assert_eq!(proxy.actions(), ["CreateVirtualMFADevice", "EnableMFADevice*"]);
}

#[tokio::test]
async fn a_code_that_was_not_given_is_asked_for() {
    let proxy = FakeProxy::demanding(wary);
    let args = RemoveArgs { device: by_serial(), mfa: None };
    let (outcome, kept) = run_on(&proxy, MfaCommand::Remove(args), OutputFormat::Json, &["333333", "444444"]).await;
    assert_eq!(outcome, Ok(()), "{}", kept.text());
    let actions = proxy.actions();
    assert!(actions.contains(&"DeactivateMFADevice*".to_owned()), "{actions:?}");
    let with_code = proxy.seen().into_iter().find(|seen| seen.mfa.is_some()).unwrap();
    assert_eq!(with_code.mfa.unwrap(), format!("{SERIAL} 333333"));
}

#[tokio::test]
async fn an_inactive_device_goes_without_being_deactivated() {
    let proxy = FakeProxy::start(|seen| match seen.asks("ListVirtualMFADevices") {
        true => (200, listed("")),
        false => willing(seen),
    });
    let args = RemoveArgs { device: by_serial(), mfa: None };
    let (outcome, _) = run_on(&proxy, MfaCommand::Remove(args), OutputFormat::Json, &[]).await;
    assert_eq!(outcome, Ok(()));
    assert_eq!(proxy.actions(), ["ListVirtualMFADevices", "DeleteVirtualMFADevice"]);
}

#[tokio::test]
async fn wrong_codes_say_how_to_go_on_with_the_device() {
    let proxy = FakeProxy::start(|seen| match seen.asks("EnableMFADevice") {
        true => (403, iam_error("InvalidAuthenticationCode", "Authentication code for device is not valid.")),
        false => willing(seen),
    });
    let (outcome, _) = run_on(&proxy, MfaCommand::Add(named("phone")), OutputFormat::People, &["1", "2"]).await;
    let next = outcome.unwrap_err().next.unwrap();
    assert!(next.contains("portcullis mfa activate --serial arn:aws:iam::123456789012:mfa/phone"), "{next}");
}

#[tokio::test]
async fn a_device_is_found_by_its_name() {
    let proxy = FakeProxy::start(willing);
    let device = DeviceChoice { serial: None, name: Some("phone".to_owned()) };
    let codes = ["111111", "222222"].map(|code| Secret::new(code.to_owned())).to_vec();
    let (outcome, _) =
        run_on(&proxy, MfaCommand::Resync(ResyncArgs { device, codes }), OutputFormat::People, &[]).await;
    assert_eq!(outcome, Ok(()));
    assert!(proxy.seen()[1].form.contains("SerialNumber=arn%3Aaws%3Aiam%3A%3A123456789012%3Amfa%2Fphone"));
    let device = DeviceChoice { serial: None, name: Some("tablet".to_owned()) };
    let (outcome, _) =
        run_on(&proxy, MfaCommand::Resync(ResyncArgs { device, codes: Vec::new() }), OutputFormat::People, &[]).await;
    assert_eq!(outcome.unwrap_err().message, "there is no MFA device `tablet`");
}

#[tokio::test]
async fn the_list_is_a_table_for_people_and_an_array_for_programs() {
    let proxy = FakeProxy::start(willing);
    let (_, kept) = run_on(&proxy, MfaCommand::List, OutputFormat::People, &[]).await;
    assert_eq!(
        kept.text(),
        "NAME   STATE   SINCE                 SERIAL NUMBER\n\
         phone  active  2026-11-21T09:41:58Z  arn:aws:iam::123456789012:mfa/phone\n"
    );
    let (_, kept) = run_on(&proxy, MfaCommand::List, OutputFormat::Json, &[]).await;
    assert_eq!(
        kept.text(),
        format!(
            "[{{\"serialNumber\":\"{SERIAL}\",\"name\":\"phone\",\"active\":true,\"enableDate\":\"2026-11-21T09:41:58Z\"}}]\n"
        )
    );
}

#[tokio::test]
async fn the_picture_is_its_owners_alone_and_never_overwrites() {
    let proxy = FakeProxy::start(willing);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("qr.png");
    let args = || AddArgs { no_activate: true, qr: Some(path.clone()), ..named("phone") };
    let (outcome, _) = run_on(&proxy, MfaCommand::Add(args()), OutputFormat::Json, &[]).await;
    assert_eq!(outcome, Ok(()));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(std::fs::read(&path).unwrap().starts_with(b"\x89PNG"));
    let (outcome, _) = run_on(&proxy, MfaCommand::Add(args()), OutputFormat::Json, &[]).await;
    assert!(outcome.is_err());
    assert_eq!(proxy.actions().len(), 1);
}
