//! Carries out what is permitted.

use super::account::empty_list;
use super::answer::{AnswerContent, IamAnswer};
use super::decide::{ActionPermit, PlainStep, PlannedStep, ReadStep};
use super::refused::IamError;
use super::xml::ElementWriter;
use portcullis_base::clock::Timestamp;
use portcullis_state::StateStore;

/// Carries out an action.
pub async fn perform(permit: ActionPermit, state: &StateStore, now: Timestamp) -> Result<IamAnswer, IamError> {
    let plan = permit.into_action();
    let name = plan.name;
    let performance = ActionPerformance { state, now };
    let content = match plan.step {
        PlannedStep::DeactivateDevice(change) => performance.deactivate_device(change).await,
        PlannedStep::EnableDevice(change) => performance.enable_device(change).await,
        PlannedStep::Plain(step) => performance.plain(step).await,
        PlannedStep::Resynchronized => Ok(AnswerContent::default()),
    };
    content.map(|content| IamAnswer::new(name, content))
}

/// The state on which an action is carried out.
#[derive(Clone, Copy)]
pub(super) struct ActionPerformance<'a> {
    pub state: &'a StateStore,
    pub now: Timestamp,
}

impl ActionPerformance<'_> {
    async fn plain(self, step: PlainStep) -> Result<AnswerContent, IamError> {
        match step {
            PlainStep::AcceptClock => self.accept_clock().await,
            PlainStep::CreateAccessKey { holder, material } => self.create_access_key(&holder, material).await,
            PlainStep::CreateDevice { serial, digits } => self.create_device(&serial, digits).await,
            PlainStep::CreateUser { name } => self.create_user(&name).await,
            PlainStep::DeleteAccessKey { key } => self.delete_access_key(&key).await,
            PlainStep::DeleteDevice { serial } => self.delete_device(&serial).await,
            PlainStep::DeleteUser { name } => self.delete_user(&name).await,
            PlainStep::DeleteUserUpstreamKey { name } => self.delete_upstream_key(&name).await,
            PlainStep::Policy(action) => self.policy_action(action).await,
            PlainStep::PutUserUpstreamKey { name, given } => self.put_upstream_key(&name, given).await,
            PlainStep::Read(step) => Ok(AnswerContent::shown(self.read(step))),
            PlainStep::UpdateAccessKey { key, status } => self.update_access_key(&key, status).await,
        }
    }

    fn read(self, step: ReadStep) -> ElementWriter {
        match step {
            ReadStep::AccessKeys { holder, page } => self.access_keys(&holder, &page),
            ReadStep::AccountSummary => self.account_summary(),
            ReadStep::CredentialReport => self.credential_report(),
            // It is written when it is asked for.
            ReadStep::CredentialReportState => ElementWriter::new("Result").text("State", "COMPLETE"),
            ReadStep::Clock => self.clock(),
            ReadStep::EmptyList(list) => empty_list(list),
            ReadStep::MfaDevices { holder, page } => self.mfa_devices(&holder, &page),
            ReadStep::User(user) => self.user(user.as_ref()),
            ReadStep::Users { prefix, page } => self.users(prefix, &page),
            ReadStep::VirtualMfaDevices { assignment, page } => self.virtual_mfa_devices(assignment, &page),
        }
    }
}
