//! Carries a plan out.

use std::collections::BTreeSet;

use super::super::admin::{AdminClient, AdminRequest};
use super::super::error::CommandError;
use super::account::is_unknown;
use portcullis_import::{ImportCall, ImportPlan, PolicyArns, StepStanding};

/// Actions that every proxy has. (The first two are also those that would do something without parameters.)
const OF_OLD: &[&str] = &["CreateAccessKey", "CreateUser", "UpdateAccessKey"];

/// Makes the calls that are to be made, in order; returns how many.
pub(super) async fn apply(
    plan: &ImportPlan,
    arns: &mut PolicyArns,
    admin: &AdminClient,
) -> Result<usize, CommandError> {
    let planned = plan.calls.iter().filter(|planned| planned.standing == StepStanding::ToMake);
    let calls: Vec<&ImportCall> = planned.map(|planned| &planned.call).collect();
    expect_actions(&calls, admin).await?;
    for call in &calls {
        make(call, arns, admin).await.map_err(|error| {
            error.next("What was imported before this stays. Run the command again when the reason is gone.")
        })?;
    }
    Ok(calls.len())
}

/// Refuses a plan of which the proxy could make a part alone.
async fn expect_actions(calls: &[&ImportCall], admin: &AdminClient) -> Result<(), CommandError> {
    let actions: BTreeSet<_> = calls.iter().map(|call| call.action()).collect();
    for action in actions.into_iter().filter(|action| !OF_OLD.contains(action)) {
        // Each of them needs parameters, so that this does nothing but tell whether it is known.
        match admin.ask(&AdminRequest::new(action)).await {
            Err(error) if is_unknown(&error) => {
                let reason = format!("the running Portcullis does not know {action}, which the import needs");
                let next = "Nothing was imported. Run `portcullis serve` of this version, then repeat the command.";
                return Err(CommandError::failed(reason).next(next));
            }
            Err(error) if error.code().is_some() => {}
            Err(error) => return Err(error.into_command_error(admin.place())),
            Ok(_) => return Err(CommandError::failed(format!("{action} was accepted without parameters"))),
        }
    }
    Ok(())
}

async fn make(call: &ImportCall, arns: &mut PolicyArns, admin: &AdminClient) -> Result<(), CommandError> {
    let parameters = call.parameters(arns).map_err(CommandError::failed)?;
    let question = AdminRequest::new(call.action());
    let question = parameters.iter().fold(question, |question, (name, value)| question.with(name, value.expose()));
    let told = admin.ask(&question).await.map_err(|error| error.into_command_error(admin.place()))?;
    if let ImportCall::CreatePolicy { name, .. } = call
        && let Some(arn) = told.child("Policy").and_then(|policy| policy.filled_text_of("Arn"))
    {
        arns.insert(name.clone(), arn.to_owned());
    }
    Ok(())
}
